"""The acts of the story: what happens to the vendors, and for how long. Pure data, told to the simulators."""

from dataclasses import dataclass
from typing import Final

from allweather.vendorsim.faults import (
    AnyFault,
    Auth,
    Latency,
    Refuse,
    SlowFirstToken,
    Spread,
    Status,
)

NORMAL: Final[tuple[AnyFault, ...]] = (Latency(first_token_ms=Spread(p50=180, p99=900), per_token_ms=0.5),)
"""An ordinary afternoon: models that need a moment to think."""

ANTHROPIC_OVERLOADED: Final[tuple[AnyFault, ...]] = (*NORMAL, Status(vendor="anthropic", status=529))
ANTHROPIC_DOWN: Final[tuple[AnyFault, ...]] = (*NORMAL, Refuse(vendor="anthropic"))
WORSE: Final[tuple[AnyFault, ...]] = (
    *ANTHROPIC_DOWN,
    Status(vendor="azure-openai", status=503),
    Auth(vendor="openai"),
    SlowFirstToken(vendor="vertex", seconds=15),
)
NOTHING_WORKS: Final[tuple[AnyFault, ...]] = (Refuse(),)


@dataclass(frozen=True, slots=True)
class Act:
    """A stretch of the afternoon."""

    title: str
    faults: tuple[AnyFault, ...]
    seconds: float


ACTS: Final = (
    Act("1  All vendors are well", NORMAL, 8),
    Act("2a Anthropic is overloaded (HTTP 529)", ANTHROPIC_OVERLOADED, 6),
    Act("2b Anthropic refuses connections", ANTHROPIC_DOWN, 8),
    Act("3  Azure loses seven regions, OpenAI rejects the credential, Vertex crawls", WORSE, 18),
    Act("4  Every vendor is down: requests are accepted and parked", NOTHING_WORKS, 20),
    Act("5  Vendors return: the backlog drains", NORMAL, 16),
)
KILLS: Final = "6  One service after another is killed and restarted"
"""The last act lasts as long as the kills take."""
