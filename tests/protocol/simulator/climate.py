"""Kinds of schedules: how much goes wrong, and of what sort."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

Weights = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Climate:
    """How likely what is; numbers are shares of all schedules, or of all calls, or seconds."""

    storms_s: tuple[tuple[tuple[float, float], float], ...] = (((2, 10), 0.5), ((10, 25), 0.3), ((25, 50), 0.2))
    """How long things go wrong."""
    fault_shares: tuple[float, ...] = (0.0, 0.02, 0.05, 0.15)
    """How many calls between processes and servers go wrong."""
    faults: int = 12
    """Fewer calls than this go wrong."""
    aim: str = ""
    """How the names of the processes begin whose calls go wrong."""
    outage: tuple[float, float] = (0.0, 0.3)
    """For how much of the storm all vendors are down."""
    deadlines_s: Weights = ((6, 0.15), (15, 0.25), (40, 0.25), (120, 0.25), (300, 0.1))
    troubles: Mapping[str, float] = field(
        default_factory=lambda: {
            "kafka away": 0.2,
            "postgres away": 0.2,
            "redis away": 0.2,
            "redis loses everything": 0.1,
            "membership lost": 0.5,
            "clock set": 0.15,
            "asked to stop": 0.2,
            "killed": 0.25,
            "stalled": 0.25,
            "fleet gone": 0.08,
        }
    )


CHANGEABLE: Final = Climate()
OUTAGE: Final = Climate(
    storms_s=(((8, 30), 1.0),),
    fault_shares=(0.03, 0.08, 0.2),
    aim="router",
    outage=(0.3, 0.9),
    deadlines_s=((6, 0.4), (15, 0.3), (60, 0.3)),
    troubles={"membership lost": 0.3, "postgres away": 0.2, "kafka away": 0.1, "clock set": 0.2},
)
"""Everybody waits, is let go or expires, while routers die."""
FAIR: Final = Climate(fault_shares=(0.0,), troubles={"membership lost": 0.3})
"""Nothing but vendors goes wrong, and partitions that move."""

CLIMATES: Final = ((CHANGEABLE, 0.6), (OUTAGE, 0.3), (FAIR, 0.1))
