"""Strike a whole running system in every way it must survive, under load, and prove every promise afterwards.

Progress goes to standard error, the figures to standard output, what our own clients log meanwhile to a file beside the
state of the trials. A full trial leaves its report in bench/reports/faults.
Exit code 0 when everything was kept, 1 when a promise or a bar was missed, 2 for wrong arguments, 3 when the system
could not be started.
"""
# ruff: noqa: T201 - a command prints

import argparse
import random
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch

import msgspec
from catalogue import SCENARIOS
from lab.opened import STATE
from lab.report import Result, shown, write
from lab.scenario import Scenario
from lab.trial import tried

from allweather.local import foreground
from allweather.local.errors import StackError
from allweather.telemetry.logs import configure_logs


def main(arguments: Sequence[str]) -> int:
    """Run the chosen scenarios one after another."""
    given = _parsed(arguments)
    chosen = _chosen(given.only)
    if given.list:
        print(*(f"{scenario.name:<24}{scenario.what}" for scenario in chosen), sep="\n")
        return 0
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(1_000_000)
    try:
        with _clients_log():
            results = [_one(scenario, seed, thorough=not given.short, as_json=given.json) for scenario in chosen]
    except StackError as problem:
        _say(str(problem))
        return 3
    return 0 if all(result.kept for result in results) else 1


def _one(scenario: Scenario, seed: int, *, thorough: bool, as_json: bool) -> Result:
    _say(f"== {scenario.name}: {scenario.what} (seed {seed})")
    result = foreground.run(tried(scenario, seed, thorough=thorough, say=_say))
    file = write(result)
    print(msgspec.json.encode(result).decode() if as_json else "\n".join(shown(result)), flush=True)
    _say(f"report: {file}")
    return result


@contextmanager
def _clients_log() -> Generator[None]:
    """They tell every failed attempt to reach a broker that we have killed: apart, lest progress is lost among it."""
    STATE.mkdir(parents=True, exist_ok=True)
    with (STATE / "clients.log").open("w") as log:
        configure_logs("warning", stream=log, service="trials")
        yield


def _chosen(patterns: Sequence[str]) -> list[Scenario]:
    chosen = [s for s in SCENARIOS if not patterns or any(fnmatch(s.name, pattern) for pattern in patterns)]
    if not chosen:
        _say(f"no scenario is called {' or '.join(patterns)}; there are: {', '.join(s.name for s in SCENARIOS)}")
        raise SystemExit(2)
    return chosen


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/faults/run.py", description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="this one (* is any text); repeat")
    parser.add_argument("--short", action="store_true", help="two of each kind, shorter outages; times decide nothing")
    parser.add_argument("--seed", type=int, help="plans the faults; a new one each time by default")
    parser.add_argument("--json", action="store_true", help="one line of JSON for each scenario")
    parser.add_argument("--list", action="store_true", help="name the scenarios")
    return parser.parse_args(arguments)


def _say(line: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
