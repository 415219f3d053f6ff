"""A report is the sum of its portions, and a schedule counts once."""

from collections import Counter
from pathlib import Path

import msgspec
import pytest
from simulator.explore import Tally
from simulator.reports import Portion, Report, add_to
from simulator.witness import Violation
from simulator.world import Report as Schedule


def a_tally(*broken: int) -> Tally:
    failed = [Schedule(seed, [Violation("P1", "lost")], Counter(), (), 10, 1.0) for seed in broken]
    return Tally(schedules=100, turns=1_000, virtual_s=1_800, seen=Counter({"crash": 3}), failed=failed)


def a_portion(first_seed: int) -> Portion:
    return Portion("abc", first_seed, 100, 2.5)


def test_portions_add_up(tmp_path: Path):
    file = tmp_path / "reports" / "protocol.json"

    add_to(file, a_portion(0), a_tally())
    add_to(file, a_portion(100), a_tally(107))

    report = msgspec.json.decode(file.read_bytes(), type=Report)
    assert (report.schedules, report.turns, report.simulated_hours, report.cpu_s) == (200, 2_000, 1.0, 5.0)
    assert report.seen == {"crash": 6}
    assert report.violations == {"107": ["P1: lost"]}
    assert [portion.first_seed for portion in report.portions] == [0, 100]


@pytest.mark.parametrize("first_seed", [0, 50, -50])
def test_a_schedule_counts_once(first_seed: int):
    report = Report()
    report.add(a_portion(0), a_tally())

    with pytest.raises(ValueError, match="already"):
        report.add(a_portion(first_seed), a_tally())

    assert report.schedules == 100
