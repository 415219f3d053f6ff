"""Many schedules, one after another, and what they saw in all."""

import gc
import logging
import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field

from simulator.world import WHOLE, Installation, Report, World

COLLECT_EVERY = 200
PORTION = 500


@dataclass
class Tally:
    """The sum of many schedules."""

    schedules: int = 0
    turns: int = 0
    virtual_s: float = 0.0
    seconds: float = 0.0
    seen: Counter[str] = field(default_factory=Counter[str])
    failed: list[Report] = field(default_factory=list[Report])

    def add(self, report: Report) -> None:
        self.schedules += 1
        self.turns += report.turns
        self.virtual_s += report.lasted_s
        self.seen.update(report.seen)
        if report.violations:
            self.failed.append(report)

    def merge(self, other: "Tally") -> None:
        self.schedules += other.schedules
        self.turns += other.turns
        self.virtual_s += other.virtual_s
        self.seconds += other.seconds
        self.seen.update(other.seen)
        self.failed += other.failed


def explore(seeds: Iterable[int], installation: Installation = WHOLE) -> Tally:
    """Run the schedules of all these seeds."""
    tally, begun = Tally(), time.perf_counter()
    for report in _schedules(seeds, installation):
        tally.add(report)
    tally.seconds = time.perf_counter() - begun
    return tally


def spread(seeds: range, workers: int, work: Callable[[range], Tally] = explore) -> Iterator[Tally]:
    """The same by several processes, portion by portion, in whatever order they come."""
    portions = [seeds[at : at + PORTION] for at in range(0, len(seeds), PORTION)]
    if workers == 1:
        yield from map(work, portions)
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        for done in as_completed([pool.submit(work, portion) for portion in portions]):
            yield done.result()


def hunt(seeds: Iterable[int], installation: Installation = WHOLE) -> Report | None:
    """The first schedule that breaks something; None when none does."""
    return next((report for report in _schedules(seeds, installation) if report.violations), None)


def trace(seed: int, installation: Installation = WHOLE) -> Report:
    """One schedule, with everything that happened in it."""
    with installation.patched(), _undisturbed():
        return World(seed, installation, tracing=True).run()


def _schedules(seeds: Iterable[int], installation: Installation) -> Iterator[Report]:
    with installation.patched(), _undisturbed():
        for number, seed in enumerate(seeds):
            yield World(seed, installation).run()
            if number % COLLECT_EVERY == 0:
                gc.collect()


@contextmanager
def _undisturbed() -> Generator[None]:
    """Without the collector, which would go through all of the program many times a second; and without the logs, in
    which every simulated crash would stand."""
    was_enabled, was_disabled = gc.isenabled(), logging.root.manager.disable
    gc.collect()
    gc.freeze()
    gc.disable()
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(was_disabled)
        gc.unfreeze()
        if was_enabled:
            gc.enable()
