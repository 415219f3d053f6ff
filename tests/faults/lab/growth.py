"""Memory and open files of processes that live through a whole trial."""

from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

import psutil


class Sample(NamedTuple):
    """One look at one process."""

    rss_mb: float
    files: int


@dataclass(slots=True)
class Growth:
    """Samples of each life of each process; only lives that were never interrupted are compared."""

    _lives: dict[tuple[str, int], list[Sample]] = field(default_factory=lambda: defaultdict(list))

    def look(self, pids: dict[str, int]) -> None:
        """Take a sample of each."""
        for name, pid in pids.items():
            try:
                process = psutil.Process(pid)
                self._lives[name, pid].append(Sample(process.memory_info().rss / 1e6, process.num_fds()))
            except psutil.NoSuchProcess:
                continue

    def of_survivors(self, fewest: int) -> dict[str, tuple[Sample, Sample]]:
        """The second and the last tenth of each life that has at least `fewest` samples, by name.

        Memory is the middle of a tenth. Files are the fewest of it: callers who wait out an outage have a connection
        each, and come and go, while one that is never closed raises what is open at the quietest moment.
        """
        return {name: _ends(samples) for (name, _), samples in self._lives.items() if len(samples) >= fewest}


def _ends(samples: list[Sample]) -> tuple[Sample, Sample]:
    tenth = max(1, len(samples) // 10)
    return _level(samples[tenth : 2 * tenth]), _level(samples[-tenth:])


def _level(samples: list[Sample]) -> Sample:
    return Sample(median(s.rss_mb for s in samples), min(s.files for s in samples))
