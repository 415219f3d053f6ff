"""Memory and open files of processes that live through a whole trial."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

import psutil


class Life(NamedTuple):
    """A process from its start to its end."""

    name: str
    pid: int


class Sample(NamedTuple):
    """What one process holds."""

    rss_mb: float
    files: int
    """Open ones, without the connections of callers that are there: how many those are is the callers' doing."""


def look(pids: Mapping[str, int]) -> dict[Life, Sample]:
    """What each of these processes holds now; one that has just ended is left out."""
    samples: dict[Life, Sample] = {}
    for name, pid in pids.items():
        try:
            process = psutil.Process(pid)
            samples[Life(name, pid)] = Sample(process.memory_info().rss / 1e6, process.num_fds() - _callers(process))
        except psutil.NoSuchProcess:
            continue
    return samples


def _callers(process: psutil.Process) -> int:
    connections = process.net_connections("tcp")
    ours = {at.laddr.port for at in connections if at.status == psutil.CONN_LISTEN}
    return sum(at.status == psutil.CONN_ESTABLISHED and at.laddr.port in ours for at in connections)


def level(looks: Sequence[Mapping[Life, Sample]]) -> dict[Life, Sample]:
    """What each life that was there at every look held: memory in the middle of them, files at the fewest.

    Connections come and go with the work, while one that is never closed raises the fewest too.
    """
    lives = set[Life](looks[0]).intersection(*looks)
    return {
        life: Sample(median(at[life].rss_mb for at in looks), min(at[life].files for at in looks)) for life in lives
    }


def of_survivors(early: Mapping[Life, Sample], late: Mapping[Life, Sample]) -> dict[str, tuple[Sample, Sample]]:
    """What each life that is in both held then and later, by its name."""
    return {life.name: (early[life], late[life]) for life in sorted(early.keys() & late.keys())}
