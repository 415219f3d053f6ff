"""Settings that every service has, and the parts that a service adds for each resource it uses.

class Settings(WithPostgres, WithRedis, ServiceSettings):
    release_every_s: float = Field(0.5, description="How often parked requests are looked at.")
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PlainValidator, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from allweather.failpoints import OFF, Failpoints

PREFIX = "ALLWEATHER_"


def _failpoints(value: str | Failpoints) -> Failpoints:
    return Failpoints.parse(value) if isinstance(value, str) else value


class SettingsError(Exception):
    """The environment does not describe a service that could start; each problem names its variable."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class Environment(BaseSettings):
    """Values read once from `ALLWEATHER_*` variables, then frozen."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        env_ignore_empty=True,
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    @classmethod
    def load(cls) -> Self:
        """The settings of this process's environment. Raises SettingsError with every problem at once."""
        try:
            return cls()
        except ValidationError as error:
            raise SettingsError([_problem(cls, detail) for detail in error.errors()]) from None


class ServiceSettings(Environment):
    """What every service process is told."""

    kafka_bootstrap: str = Field("127.0.0.1:9092", description="Kafka brokers, host:port, comma-separated.")
    config_dir: Path = Field(Path("config"), description="Folder with catalogue, routes, policies and tenants.")
    instance: int = Field(0, ge=0, description="Slot number of this replica; part of its static member ids.")
    probe_host: str = Field("127.0.0.1", description="Address on which the probes listen.")
    probe_port: int = Field(8081, ge=0, le=65535, description="Port of /livez, /readyz, /metrics, /info; 0 = any free.")
    stop_timeout_s: float = Field(20.0, gt=0, description="Seconds a graceful stop may take before it is cut short.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    otlp_endpoint: str | None = Field(None, description="OTLP/HTTP collector for traces; no traces without it.")
    trace_ratio: float = Field(0.01, ge=0, le=1, description="Share of new traces that are recorded.")
    time_factor: float = Field(1.0, gt=0, le=1, description="Shortens breaker and slow-start times, for the demo only.")
    failpoints: Annotated[Failpoints, PlainValidator(_failpoints)] = Field(
        OFF, description="Failpoints to arm, for tests only."
    )


class WithPostgres(Environment):
    """For a service that owns a Postgres schema."""

    postgres_dsn: SecretStr = Field(description="Postgres, postgresql://user:password@host:port/database.")


class WithRedis(Environment):
    """For a service that keeps health, limits or claims in Redis."""

    redis_url: SecretStr = Field(description="Redis, redis://[:password@]host:port/database.")


class WithPayloads(Environment):
    """For a service that reads or writes large bodies by claim check."""

    payload_dir: Path = Field(description="Folder of the payload store, shared by all services.")


class WithSecret(Environment):
    """For a service that signs or verifies request ids and door addresses."""

    secret_file: Path = Field(description="File (mode 0600) with the key of request-id tags and door addresses.")

    def secret(self) -> bytes:
        """The key. Raises SettingsError when the file is missing, too short or readable by others."""
        return read_secret(self.secret_file)


def read_secret(path: Path) -> bytes:
    """The content of a secret file, stripped. Refuses a file that group or others may read."""
    try:
        mode = path.stat().st_mode
        content = path.read_bytes().strip()
    except OSError as error:
        raise SettingsError([f"{path}: cannot be read ({error.strerror})"]) from None
    if mode & 0o077:
        raise SettingsError([f"{path}: mode {mode & 0o777:04o} lets others read a secret; chmod 600 it"])
    if len(content) < 32:
        raise SettingsError([f"{path}: a secret of {len(content)} bytes is too short; write at least 32"])
    return content


def variable(cls: type[BaseSettings], field: str) -> str:
    """The name of the environment variable that sets `field`."""
    alias = cls.model_fields[field].validation_alias
    return alias if isinstance(alias, str) else f"{cls.model_config.get('env_prefix', '')}{field}".upper()


def describe(cls: type[BaseSettings]) -> list[tuple[str, str, str]]:
    """For each variable: its name, its default (`required` without one) and its meaning."""
    return [
        (variable(cls, name), "required" if field.is_required() else _shown(field.default), field.description or "")
        for name, field in cls.model_fields.items()
    ]


def _shown(default: object) -> str:
    return "" if default is None or default is OFF else str(default)


def _problem(cls: type[BaseSettings], detail: ErrorDetails) -> str:
    field = str(detail["loc"][0]) if detail["loc"] else ""
    name = variable(cls, field) if field in cls.model_fields else field
    return f"{name}: {detail['msg'].removeprefix('Value error, ')}"
