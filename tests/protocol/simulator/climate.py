"""Kinds of schedules: how much goes wrong, and of what sort."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from simulator.vendors import FLAKY, MOODS, WELL, Moods

Weights = tuple[tuple[float, float], ...]
Counts = tuple[tuple[int, float], ...]


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
    requests: Counts = ((1, 0.7), (2, 0.22), (3, 0.08))
    over_http: float = 0.35
    """How many of the requests come over HTTP."""
    many_deployments: float = 0.2
    """How likely each vendor has several."""
    slow_shares: tuple[float, ...] = (0.01, 0.03, 0.15, 0.4)
    """How often a server takes its time."""
    black_holes: Counts = ((0, 0.9), (1, 0.1))
    """How many deployments take calls and say nothing."""
    moods: Moods = MOODS
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
            "fleet gone": 0.1,
            "cut off": 0.25,
        }
    )


CHANGEABLE: Final = Climate()
OUTAGE: Final = Climate(
    storms_s=(((8, 30), 1.0),),
    fault_shares=(0.03, 0.08, 0.2),
    aim="router",
    outage=(0.3, 0.9),
    deadlines_s=((6, 0.4), (15, 0.3), (60, 0.3)),
    requests=((1, 0.5), (2, 0.25), (3, 0.15), (6, 0.1)),
    troubles={"membership lost": 0.3, "postgres away": 0.2, "kafka away": 0.1, "clock set": 0.2, "cut off": 0.1},
)
"""Everybody waits, is let go or expires, while routers die."""
FAIR: Final = Climate(fault_shares=(0.0,), troubles={"membership lost": 0.3})
"""Nothing but vendors goes wrong, and partitions that move."""

STREAMS: Final = Climate(
    fault_shares=(0.03, 0.08, 0.2),
    aim="provider-worker",
    outage=(0.0, 0.0),
    over_http=1.0,
    moods=((WELL, 0.3), (FLAKY, 0.7)),
    troubles={"membership lost": 0.5, "kafka away": 0.1, "redis away": 0.2, "asked to stop": 0.2, "cut off": 0.2},
)
"""Callers watch their answers grow, while vendors break off and workers die."""
STEADY: Final = Climate(
    storms_s=(((10, 20), 1.0),),
    fault_shares=(0.0,),
    outage=(0.0, 0.0),
    deadlines_s=((6, 0.2), (15, 0.2), (120, 0.6)),
    requests=((15, 0.5), (30, 0.5)),
    many_deployments=1.0,
    slow_shares=(0.0,),
    black_holes=((1, 0.7), (2, 0.3)),
    moods=((WELL, 1.0),),
    troubles={},
)
"""Everybody is well and quick, but for one or two deployments that never answer: nobody else has an excuse."""

CLIMATES: Final = ((CHANGEABLE, 0.58), (OUTAGE, 0.24), (STREAMS, 0.1), (FAIR, 0.06), (STEADY, 0.02))
