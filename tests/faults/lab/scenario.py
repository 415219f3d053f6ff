"""What a scenario is: a name, what it shows, the conditions it runs under, and what happens in it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lab.ways import Ways, half_through_each_door

if TYPE_CHECKING:
    from lab.lab import Lab

CONFIG = Path(__file__).parents[1] / "config"


@dataclass(frozen=True, slots=True)
class Conditions:
    """The system and the load of a scenario."""

    brokers: Literal[1, 3] = 1
    replicas: Mapping[str, int] = field(default_factory=dict[str, int])
    per_second: float = 30.0
    tenants: tuple[str, ...] = ("demo",)
    ways: Ways = half_through_each_door
    """How each tenant's application asks."""
    linked: bool = False
    """Whether a proxy stands between the services and each server."""
    postgres_mb: int | None = None
    """The size of the file system that Postgres has, where it is to be small."""
    config_dir: Path | None = None
    """Instead of the configuration that the repository ships."""
    settle_within_s: float = 120.0
    """How long after the last request everything may take to be settled."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """Something that goes wrong, and what must hold all the same."""

    name: str
    what: str
    run: Callable[["Lab"], Awaitable[None]]
    conditions: Conditions = Conditions()
