"""What a person may set about the local stack. The only reader of the environment in this package."""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

REPOSITORY = Path(__file__).parents[5]


def _cache_dir() -> Path:
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return caches / "allweather" / "kafka-4.3.1"


class LocalSettings(BaseSettings):
    """Where things live, which ports they take, and which dependencies exist already."""

    model_config = SettingsConfigDict(env_prefix="ALLWEATHER_", env_ignore_empty=True, frozen=True, extra="ignore")

    state_dir: Path = REPOSITORY / ".state"
    cache_dir: Path = Field(default_factory=_cache_dir)
    config_dir: Path = REPOSITORY / "config"
    topics_file: Path = REPOSITORY / "infra" / "kafka" / "topics.yaml"

    # Ports count up from here; 0 takes free ones, which is what tests do.
    port_base: int = Field(default=8400, ge=0, le=65000)
    http_port: int | None = None
    kafka_port: int | None = None
    postgres_port: int | None = None
    redis_port: int | None = None
    vendorsim_port: int | None = None

    # A dependency that is named is used, and not started.
    kafka_bootstrap: str | None = None
    postgres_dsn: str | None = None
    redis_url: str | None = None

    kafka_heap_mb: int = Field(default=128, ge=96)
    # The broker's compilers: the first alone starts in half the time; the second takes minutes until it has paid.
    kafka_compilers: Literal[1, 2] = 1
    # The artifact repository to take the Kafka jars from, where a mirror is prescribed.
    jar_repository: str | None = None
    # "simulated" keeps to the simulators even where a real vendor's key is in the environment.
    vendors: Literal["auto", "simulated"] = "auto"
    # What tests start their servers with.
    stack: Literal["native", "docker"] = "native"

    def as_environment(self) -> dict[str, str]:
        """The environment in which another process reads exactly these settings."""
        given = self.model_dump(mode="json", exclude_none=True, exclude_unset=True)
        return inherited_environment() | {f"ALLWEATHER_{name}".upper(): str(value) for name, value in given.items()}


def inherited_environment() -> dict[str, str]:
    """The environment that programs are started with, before their own variables."""
    return dict(os.environ)
