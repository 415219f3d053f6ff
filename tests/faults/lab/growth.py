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
        """The middle of the second and of the last tenth of each life that has at least `fewest` samples, by name."""
        return {name: _ends(samples) for (name, _), samples in self._lives.items() if len(samples) >= fewest}


def _ends(samples: list[Sample]) -> tuple[Sample, Sample]:
    tenth = max(1, len(samples) // 10)
    return _middle(samples[tenth : 2 * tenth]), _middle(samples[-tenth:])


def _middle(samples: list[Sample]) -> Sample:
    return Sample(median(s.rss_mb for s in samples), round(median(s.files for s in samples)))
