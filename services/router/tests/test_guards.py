"""What each guard is for: switched off by its failpoint, the promise that it keeps is broken."""

from allweather.contracts import headers, topics
from allweather.contracts.failures import FailureKind
from allweather.failpoints import Failpoints
from allweather.router.testing.memory import MemoryTables
from allweather.router.testing.records import a_slip, attempted, cleared, configuration, ended
from allweather.router.testing.world import World

DOWN = FailureKind.UNAVAILABLE


def world_without(guard: str) -> World:
    tables = MemoryTables()
    world = World(tables, tables, configuration())
    world.start(Failpoints.parse(f"{guard}=skip"))
    return world


async def test_without_first_row_wins_a_second_result_forks_the_chain():
    world = world_without("router.first-row-wins")
    (dispatched,) = await world.handle(cleared(a_slip()))

    first = await world.handle(attempted(dispatched, DOWN))
    second = await world.handle(attempted(dispatched, DOWN))

    assert [m.topic for m in first + second] == [topics.dispatch("beta")] * 2


async def test_without_same_cause_replays_a_crash_after_the_insert_loses_the_request():
    world = world_without("router.same-cause-replays")
    record = await world.record(cleared(a_slip()))

    first, again = await world.redeliver(record), await world.redeliver(record)

    assert (len(first), len(again)) == (1, 0)


async def test_without_outcome_stops_dispatch_a_cancelled_request_is_sent_to_a_vendor():
    world = world_without("router.outcome-stops-dispatch")
    slip = a_slip()
    (dispatched,) = await world.handle(cleared(slip))
    await world.handle(ended(slip, nameless=True))

    (forbidden,) = await world.handle(attempted(dispatched, DOWN))

    assert forbidden.topic == topics.dispatch("beta")


async def test_without_first_row_wins_one_request_gets_two_answers():
    world = world_without("router.first-row-wins")
    slip = a_slip()
    (dispatched,) = await world.handle(cleared(slip))
    (second,) = await world.handle(cleared(slip, submission="1"))

    assert dict(second.headers)[headers.CE_ID] == dict(dispatched.headers)[headers.CE_ID]
    assert second.topic == dispatched.topic
