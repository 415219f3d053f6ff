"""What the environment says: the only place that reads it."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, SecretStr

from allweather.runtime.settings import ServiceSettings, WithPayloads, WithRedis

_VARIABLE = re.compile(r"\$\{(?P<name>[A-Z][A-Z0-9_]*)(:-(?P<default>[^}]*))?\}")


class Settings(WithRedis, WithPayloads, ServiceSettings):
    """One worker process: the calls to one vendor."""

    vendor: str = Field(validation_alias="VENDOR", description="The vendor of the catalogue that this process calls.")
    vendor_base_url: str | None = Field(
        None, description="Address of the vendor simulators; with it no vendor is called and no key is read."
    )
    google_cloud_project: str | None = Field(
        None,
        validation_alias="GOOGLE_CLOUD_PROJECT",
        description="The project that Vertex calls are charged to; else the one in the credential file.",
    )
    window: int = Field(64, ge=1, le=1024, description="Calls in flight in this process.")


class Lacking(Exception):
    """A deployment cannot be called from this process; the text says what is missing, and quotes no value."""


def resolve(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """`text` with `${NAME}` and `${NAME:-default}` replaced, where empty counts as not set. Raises `Lacking`."""
    missing: list[str] = []

    def value(variable: re.Match[str]) -> str:
        found = environment.get(variable["name"]) or variable["default"]
        if found is None:
            missing.append(variable["name"])
        return found or ""

    resolved = _VARIABLE.sub(value, text)
    if missing:
        raise Lacking(f"{', '.join(missing)} not set")
    return resolved


def secret(name: str, environment: Mapping[str, str] = os.environ) -> SecretStr | Path:
    """The key in the variable `name`, or the path of the key file that it names. Raises `Lacking`."""
    value = environment.get(name)
    if not value:
        raise Lacking(f"{name} is not set")
    return Path(value) if Path(value).is_absolute() else SecretStr(value)
