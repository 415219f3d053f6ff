"""A report that adds up: portion after portion, each with its seeds and the commit that ran them."""

from collections import Counter
from pathlib import Path
from typing import Final

import msgspec
from simulator.explore import Tally

_HOUR_S: Final = 3_600


class Portion(msgspec.Struct, frozen=True):
    """Schedules that were explored in one run."""

    commit: str
    first_seed: int
    schedules: int
    cpu_s: float

    def overlaps(self, other: "Portion") -> bool:
        last, others_last = self.first_seed + self.schedules, other.first_seed + other.schedules
        return self.first_seed < others_last and other.first_seed < last


class Report(msgspec.Struct):
    """What all portions saw together."""

    schedules: int = 0
    violations: dict[str, list[str]] = {}
    """By seed."""
    turns: int = 0
    simulated_hours: float = 0.0
    cpu_s: float = 0.0
    seen: dict[str, int] = {}
    portions: list[Portion] = []

    def add(self, portion: Portion, tally: Tally) -> None:
        """Raises ValueError for seeds that are in the report already: a schedule counts once."""
        if any(portion.overlaps(known) for known in self.portions):
            raise ValueError(f"seeds from {portion.first_seed} on are in the report already")
        self.portions.append(portion)
        self.schedules += tally.schedules
        self.violations |= {str(failed.seed): [str(v) for v in failed.violations] for failed in tally.failed}
        self.turns += tally.turns
        self.simulated_hours = round(self.simulated_hours + tally.virtual_s / _HOUR_S, 2)
        self.cpu_s = round(self.cpu_s + portion.cpu_s, 1)
        self.seen = dict(sorted((Counter(self.seen) + tally.seen).items()))


def add_to(file: Path, portion: Portion, tally: Tally) -> None:
    """Add a portion to the report in `file`, which is begun if there is none."""
    report = msgspec.json.decode(file.read_bytes(), type=Report) if file.exists() else Report()
    report.add(portion, tally)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
