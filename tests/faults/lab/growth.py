"""Memory and open files of processes that live through a whole trial."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
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
    files: Counter[str]
    """Open ones, by what they are: connections to a server by its name, other connections, the rest."""


def look(pids: Mapping[str, int], servers: Mapping[int, str], pooled: Collection[str] = ()) -> dict[Life, Sample]:
    """What each of these processes holds now; one that has just ended is left out. `servers` are known by their ports.

    Connections to servers that are `pooled` do not count: a pool has a limit, and how near it is to that is chance.
    """
    samples: dict[Life, Sample] = {}
    for name, pid in pids.items():
        try:
            process = psutil.Process(pid)
            samples[Life(name, pid)] = Sample(process.memory_info().rss / 1e6, _files(process, servers, pooled))
        except psutil.NoSuchProcess:
            continue
    return samples


def _files(process: psutil.Process, servers: Mapping[int, str], pooled: Collection[str]) -> Counter[str]:
    everything = process.num_fds()
    peers = [servers.get(at.raddr.port, "other connections") for at in process.net_connections("tcp") if at.raddr]
    files = Counter(peer for peer in peers if peer not in pooled)
    files["other files"] = everything - len(peers)
    return files


def level(loaded: Sequence[Mapping[Life, Sample]], at_rest: Sequence[Mapping[Life, Sample]]) -> dict[Life, Sample]:
    """What each life that was there at every look held: memory in the middle under load, files at the fewest at rest.

    How many connections the work needs is chance, while one that is never closed is there at rest, too.
    """
    looks = [*loaded, *at_rest]
    lives = set[Life](looks[0]).intersection(*looks)
    return {
        life: Sample(
            median(at[life].rss_mb for at in loaded),
            min((at[life].files for at in at_rest), key=Counter[str].total),
        )
        for life in lives
    }


def of_survivors(early: Mapping[Life, Sample], late: Mapping[Life, Sample]) -> dict[str, tuple[Sample, Sample]]:
    """What each life that is in both held then and later, by its name."""
    return {life.name: (early[life], late[life]) for life in sorted(early.keys() & late.keys())}
