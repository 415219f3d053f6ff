"""Processor time and memory of processes, from the kernel's own accounts."""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self

import psutil

_MB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Reading:
    """Processor seconds so far: of each named process with its children, of this process, and of the whole machine."""

    by_process: Mapping[str, float]
    own: float
    machine: float

    @classmethod
    def of(cls, pids: Mapping[str, int]) -> Self:
        return cls({name: _spent_by(pid) for name, pid in pids.items()}, time.process_time(), _spent_by_machine())


@dataclass(frozen=True, slots=True)
class Usage:
    """Processor seconds between two readings, and what the machine has spent on anything else meanwhile."""

    by_process: Mapping[str, float]
    elsewhere: float

    @classmethod
    def between(cls, before: Reading, after: Reading) -> Self:
        spent = {name: after.by_process[name] - seconds for name, seconds in before.by_process.items()}
        return cls(spent, after.machine - before.machine - (after.own - before.own) - sum(spent.values()))


def memory_mb(pids: Mapping[str, int]) -> dict[str, float]:
    """Resident memory of each process. Where it has children, their proportional shares: they share most of it."""
    return {name: round(_held_by(pid) / _MB, 1) for name, pid in pids.items()}


def _spent_by(pid: int) -> float:
    """Children that have ended are in the account of the parent that waited for them, so the sum only grows."""
    return sum(sum(_times(process)) for process in _family(pid))


def _times(process: psutil.Process) -> tuple[float, ...]:
    with suppress(psutil.NoSuchProcess):
        spent = process.cpu_times()
        return spent.user, spent.system, spent.children_user, spent.children_system
    return ()


def _held_by(pid: int) -> int:
    family = _family(pid)
    if len(family) == 1:
        return family[0].memory_info().rss
    return sum(_share(process) for process in family)


def _share(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess):
        return process.memory_full_info().pss
    return 0


def _family(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def _spent_by_machine() -> float:
    spent = psutil.cpu_times()
    return sum(spent) - spent.idle - getattr(spent, "iowait", 0.0) - getattr(spent, "guest", 0.0)
