"""The life cycle of requests, under two thousand schedules of everything that can happen to it.

CI explores ten thousand more, with seeds of their own (`.ci/run`).
A failure names its seeds: `tests/protocol/run.py --seed <seed> --schedules 1 --trace` shows each of them again.
"""

import pytest
from simulator.explore import Tally, explore

pytestmark = pytest.mark.xdist_group("protocol")  # the schedules are run once, in one worker process
SCHEDULES = 2_000
LIFE = (
    "record: attempted",
    "record: cancelled",
    "record: cleared again",
    "record: conflicted",
    "record: delta",
    "record: dispatched again",
    "record: expired",
    "record: parked again",
    "record: released again",
    "record: settled again",
    "record: submitted again",
    "outcome: answered",
    "outcome: cancelled",
    "outcome: dead_lettered",
    "outcome: denied",
    "outcome: expired",
    "outcome: invalid",
    "outcome: over_limit",
    "outcome: refused",
    "outcome: too_long",
)
TOLD = (
    "asked again",
    "http: 422",
    "http: 429",
    "http: 503",
    "http: 504",
    "http: answered",
    "http: broken off",
    "stream: complete",
    "stream: typed error",
)
WEATHER = (
    "asked to stop",
    "black hole",
    "clock set",
    "commit refused",
    "crash after a call",
    "crash before a call",
    "crash with a call under way",
    "cut after the effect",
    "cut before the effect",
    "cut off",
    "fleet back",
    "fleet gone",
    "kafka away",
    "late arrival",
    "lock wait",
    "membership lost",
    "postgres away",
    "publish with unknown outcome",
    "rebalance",
    "redis away",
    "redis loses everything",
    "session ended",
    "slow call",
    "stall",
    "static member back",
    "transaction of a dead client",
)


@pytest.fixture(scope="module")
def tally() -> Tally:
    """Each schedule has a seed of its own."""
    return explore(range(SCHEDULES))


def test_no_schedule_breaks_a_promise(tally: Tally):
    assert [(report.seed, *map(str, report.violations)) for report in tally.failed] == []


@pytest.mark.parametrize("what", [*LIFE, *TOLD, *WEATHER])
def test_the_schedules_have_seen(tally: Tally, what: str):
    """A simulator that has stopped to cause something proves nothing about it."""
    assert tally.seen[what] > 0
