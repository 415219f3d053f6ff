"""Explore the protocol: `.venv/bin/python tests/protocol/run.py --schedules 100000 --seed 0 --workers 2`.

A seed is a schedule: `--seed N --schedules 1 --trace` shows what happened in it, the same each time. With `--without`
a rule is taken out, to see what it is good for.
"""
# ruff: noqa: T201 - a command prints

import argparse
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from simulator import climate, reports
from simulator.explore import Tally, explore, spread, trace
from simulator.removed import RULES
from simulator.world import WHOLE, Installation, Report

CLIMATES = {
    "changeable": climate.CHANGEABLE,
    "outage": climate.OUTAGE,
    "fair": climate.FAIR,
    "steady": climate.STEADY,
    "streams": climate.STREAMS,
}
SHOWN = 3
"""Failed schedules whose trace is printed."""


def main(arguments: Sequence[str]) -> int:
    """Explore, print what was seen, and the schedules that broke a promise."""
    given = _parsed(arguments)
    seeds = range(given.seed, given.seed + given.schedules)
    if given.trace:
        for seed in seeds:
            _show(trace(seed, _installation(given.without, given.climate)))
        return 0
    tally = Tally()
    work = partial(_explored, without=given.without, kind=given.climate)
    for portion in spread(seeds, given.workers, work):
        tally.merge(portion)
        print(f"{tally.schedules} schedules", file=sys.stderr)
        for report in portion.failed:
            print(f"seed {report.seed}:", *report.violations, sep="\n  ", file=sys.stderr)
    _summarize(tally, given.workers)
    if given.report:
        reports.add_to(
            given.report, reports.Portion(_commit(), given.seed, given.schedules, round(tally.seconds, 1)), tally
        )
    for report in tally.failed[:SHOWN]:
        _show(trace(report.seed, _installation(given.without, given.climate)))
    print("violations with the seeds:", *(report.seed for report in tally.failed) if tally.failed else ["none"])
    return bool(tally.failed)


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schedules", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--climate", choices=sorted(CLIMATES), help="only this kind of schedule")
    parser.add_argument("--without", choices=sorted(RULES), help="take this rule out")
    parser.add_argument("--report", type=Path, help="add what was seen to this file")
    parser.add_argument("--trace", action="store_true", help="show every event of every schedule")
    return parser.parse_args(arguments)


def _explored(seeds: range, without: str | None, kind: str | None) -> Tally:
    return explore(seeds, _installation(without, kind))


def _installation(without: str | None, kind: str | None) -> Installation:
    installation = RULES[without] if without else WHOLE
    return replace(installation, climate=CLIMATES[kind]) if kind else installation


def _commit() -> str:
    asked = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def _show(report: Report) -> None:
    print(f"\n=== seed {report.seed}: {report.lasted_s:.0f} s, {len(report.violations)} violations")
    print(*report.trace, sep="\n")
    for violation in report.violations:
        print(f"  {violation}")


def _summarize(tally: Tally, workers: int) -> None:
    rate = tally.schedules / tally.seconds
    print(f"{tally.schedules} schedules, {rate:.0f} a second and core, {workers} at a time")
    print(f"{tally.turns / tally.schedules:.0f} turns and {tally.virtual_s / tally.schedules:.0f} s each")
    for what, count in sorted(tally.seen.items()):
        print(f"  {count:9d}  {what}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
