from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allweather.contracts import headers, ids, topics
from allweather.contracts.records import Dispatch, Ended, EventType, Released, decode
from allweather.contracts.slip import Needs, Priority, Slip, Verdict
from allweather.failpoints import FailpointReached, Failpoints
from allweather.messaging import Message, Record, TopicPartition
from allweather.messaging.partitioning import partition_of
from allweather.router.events import Cause
from allweather.router.fairness import DeficitRoundRobin
from allweather.router.parking import Grant, Parking, Waiting
from allweather.router.release import check_partitions
from allweather.router.steps import Row
from allweather.router.testing.records import BODY, T0, a_slip, attempted, cleared, ended
from allweather.router.testing.world import PARTITIONS, World
from allweather.runtime.settings import SettingsError

VENDORS = frozenset({"alpha", "beta", "gamma"})


def test_topics_of_unequal_partition_counts_are_refused() -> None:
    check_partitions({topics.CLEARED: 4, topics.RESULTS: 4}.get)
    check_partitions({topics.CLEARED: 4}.get)

    with pytest.raises(SettingsError, match=rf"{topics.CLEARED} has 4 and {topics.RESULTS} has 2 partitions: add"):
        check_partitions({topics.CLEARED: 4, topics.RESULTS: 2}.get)


async def park(world: World, *slips: Slip) -> None:
    """Submit requests while nobody can answer, then let every backoff pass and the vendors come back."""
    world.board.lost_vendors = VENDORS
    parked = await world.handle(*(cleared(slip) for slip in slips))
    assert [message.topic for message in parked] == [topics.PARKED] * len(slips)
    world.board.lost_vendors = frozenset()
    world.clock.advance(60)


def replicas(world: World) -> tuple[World, World]:
    """Two routers over the same tables and topics, each with one of the two partitions."""
    other = World(world.steps, world.parked, world.config)
    other.clock, other.broker = world.clock, world.broker
    other.start()
    for n, router in enumerate((world, other)):
        own(router, n)
        router.board.replicas = 2
    return world, other


def own(world: World, *partitions: int) -> None:
    world.assignment = frozenset(TopicPartition(topics.RESULTS, n) for n in partitions)


def partition(slip: Slip) -> int:
    return partition_of(str(slip.request_id).encode(), PARTITIONS)


async def handle_released(*routers: World) -> None:
    """What was let go reaches the owner of its partition, is called for there, and answered."""
    for world in routers:
        here = results(world, EventType.RELEASED)
        mine = [record for record in here if TopicPartition(topics.RESULTS, record.partition) in world.assignment]
        dispatched = await world.redeliver(*mine)
        await world.handle(*(attempted(message) for message in dispatched))


def results(world: World, event: EventType) -> list[Record]:
    return [r for r in world.broker.records(topics.RESULTS) if r.text(headers.CE_TYPE) == event]


def released(world: World) -> list[Any]:
    return [decode(record.value).read_slip().request_id for record in results(world, EventType.RELEASED)]


def message(record: Record) -> Message:
    return Message(record.topic, record.value, record.key, record.headers)


async def test_a_released_request_goes_on_where_it_was(world: World):
    slip = a_slip()
    await park(world, slip)

    assert await world.release.let_go()
    (record,) = results(world, EventType.RELEASED)
    (dispatched,) = await world.redeliver(record)

    envelope = decode(record.value)
    assert envelope.read(Released) == Released(n=1, released_at_ms=T0 + 60_000)
    assert bytes(envelope.body) == BODY
    assert record.text(headers.CE_ID) == ids.event_id(slip.request_id, "released-1")
    assert decode(dispatched.value).read(Dispatch).episode == 2
    assert decode(dispatched.value).read_slip().position == 2
    assert await world.parked.queues() == []


async def test_nothing_is_released_while_no_candidate_is_eligible(world: World):
    await park(world, a_slip())
    world.board.lost_vendors = VENDORS

    assert not await world.release.let_go()
    assert released(world) == []


async def test_nothing_is_released_before_its_time(world: World):
    world.board.lost_vendors = VENDORS
    await world.handle(cleared(a_slip(parks=9)))
    world.board.lost_vendors = frozenset()

    assert not await world.release.let_go()


async def test_a_request_that_nobody_can_serve_holds_up_nobody_else(world: World):
    """One head of the queue is blocked by its region; the requests behind it are servable."""
    blocked = a_slip("blocked", accepted_at_ms=T0 - 1, verdict=Verdict(effect="permit", vendors=("alpha",)))
    await park(world, blocked, a_slip("servable"))
    world.board.lost_vendors = frozenset({"alpha"})

    await world.release.let_go()

    assert released(world) == [a_slip("servable").request_id]


async def test_interactive_requests_go_before_bulk_ones(world: World):
    """There is room for twelve, four at each of three candidates, and twelve of each class wait."""
    bulk = [a_slip(f"b{i}") for i in range(12)]
    interactive = [a_slip(f"i{i}", priority=Priority.INTERACTIVE) for i in range(12)]
    await park(world, *bulk, *interactive)

    for _ in range(3):
        await world.release.let_go()

    assert set(released(world)) == {slip.request_id for slip in interactive}


async def test_a_tenant_of_which_nothing_is_due_leaves_its_share_to_the_others(world: World):
    """There is room for four. Bulk requests do not take what the one tenant's interactive ones cannot use yet."""
    only = Verdict(effect="permit", vendors=("alpha",))
    mine = {"verdict": only, "priority": Priority.INTERACTIVE}
    due = [a_slip(f"i{i}", tenant="demo", **mine) for i in range(4)]
    await park(world, *due, *(a_slip(f"b{i}", verdict=only) for i in range(4)))
    world.board.lost_vendors = VENDORS
    await world.handle(*(cleared(a_slip(f"later{i}", tenant="other", parks=16, **mine)) for i in range(4)))
    world.board.lost_vendors = frozenset()

    await world.release.let_go()

    assert set(released(world)) == {slip.request_id for slip in due}


@pytest.mark.parametrize(("priority", "order"), [(Priority.INTERACTIVE, [2, 1, 0]), (Priority.BULK, [0, 1, 2])])
async def test_the_newest_interactive_and_the_oldest_bulk_request_go_first(
    world: World, priority: Priority, order: list[int]
):
    """Whichever their lane: the one in the middle is longer than the others."""
    longer = [Needs(), Needs(input_tokens=5_000), Needs()]
    slips = [a_slip(f"ticket-{i}", accepted_at_ms=T0 + i, priority=priority, needs=longer[i]) for i in range(3)]
    await park(world, *slips)
    queues = await world.parked.queues()
    gone: list[UUID] = []

    async def publish(waiting: Sequence[Waiting]) -> None:
        gone.extend(each.request_id for each in waiting)

    for _ in range(2):
        grant = Grant(priority, "demo", [queue.lane for queue in queues], 2)
        await world.parked.let_go([grant], range(PARTITIONS), world.clock.now_ms(), publish)

    assert gone == [slips[i].request_id for i in order]


async def test_tenants_are_served_in_turn_however_long_their_backlog(world: World):
    """Half of eight calls at once are for parked requests: two for each of two tenants."""
    only = Verdict(effect="permit", vendors=("alpha",))
    long = [a_slip(f"l{i}", tenant="demo", verdict=only) for i in range(20)]
    short = [a_slip(f"s{i}", tenant="other", verdict=only) for i in range(2)]
    await park(world, *long, *short)

    await world.release.let_go()

    tenants = [decode(r.value).read_slip().tenant for r in results(world, EventType.RELEASED)]
    assert sorted(tenants) == ["demo", "demo", "other", "other"]


async def test_no_more_is_released_than_the_candidates_have_room_for(world: World):
    await park(world, *(a_slip(f"ticket-{i}") for i in range(40)))

    for _ in range(3):
        await world.release.let_go()

    assert len(released(world)) == 3 * 4, "half of eight calls at once, at each of three deployments"


async def test_the_queue_is_looked_at_again_soon_while_candidates_are_only_full(world: World):
    """It is not while they are ill, or while there is room and nothing is due."""
    await park(world, *(a_slip(f"ticket-{i}") for i in range(13)))

    went, only_full = await world.release.let_go(), await world.release.let_go()
    world.board.lost_vendors = VENDORS
    ill = await world.release.let_go()

    assert (went, only_full, ill) == (True, True, False)


async def test_released_requests_that_come_back_make_room_for_others(world: World):
    await park(world, *(a_slip(f"ticket-{i}") for i in range(40)))
    handled = 0
    for _ in range(30):
        await world.release.let_go()
        records = results(world, EventType.RELEASED)[handled:]
        handled += len(records)
        dispatched = await world.redeliver(*records)
        assert all(m.topic.startswith("ai.internal.dispatch.") for m in dispatched), "none is parked again"
        await world.handle(*(attempted(m) for m in dispatched))

    assert handled == 40
    assert await world.parked.queues() == []


async def test_a_replica_lets_go_only_what_lies_in_its_partitions(world: World):
    """And says that there is no more to do at once, however much waits for the other one."""
    await park(world, *(a_slip(f"ticket-{i}") for i in range(6)))
    one, two = replicas(world)

    went, more = await one.release.let_go(), await one.release.let_go()
    mine = results(world, EventType.RELEASED)
    await two.release.let_go()

    assert (went, more) == (True, False)
    assert {record.partition for record in mine} == {0}
    assert len(mine) < 6
    assert len(released(world)) == 6


async def test_two_replicas_empty_a_backlog_together(world: World):
    """Without a pause: every place is free again as soon as its request has come back."""
    await park(world, *(a_slip(f"ticket-{i}") for i in range(40)))
    routers = replicas(world)

    for _ in range(6):
        for router in routers:
            await router.release.let_go()
        await handle_released(*routers)

    assert len(released(world)) == 40
    assert await world.parked.queues() == []


async def test_bulk_requests_wait_for_the_interactive_ones_of_other_replicas(world: World):
    """Else whoever has fewer interactive ones would be at its bulk ones long before the other."""
    interactive = [a_slip(f"i{i}", priority=Priority.INTERACTIVE) for i in range(6)]
    await park(world, *interactive, *(a_slip(f"b{i}") for i in range(6)))
    one, two = replicas(world)

    for _ in range(3):
        await one.release.let_go()
    alone = set(released(world))
    await two.release.let_go()
    both = set(released(world))
    await one.release.let_go()

    assert alone < both == {slip.request_id for slip in interactive}
    assert len(released(world)) > 6


async def test_bulk_requests_wait_only_where_interactive_ones_would_go(world: World):
    for_alpha, for_beta = (Verdict(effect="permit", vendors=(vendor,)) for vendor in ("alpha", "beta"))
    interactive = [a_slip(f"i{i}", priority=Priority.INTERACTIVE, verdict=for_alpha) for i in range(6)]
    await park(world, *(slip for slip in interactive if partition(slip) == 1))
    at_beta = [a_slip(f"b{i}", verdict=for_beta) for i in range(6)]
    await park(world, *at_beta, *(a_slip(f"a{i}", verdict=for_alpha) for i in range(6)))
    one, _ = replicas(world)

    await one.release.let_go()

    assert set() < set(released(world)) <= {slip.request_id for slip in at_beta}


async def test_nothing_is_let_go_while_no_partition_is_owned(world: World):
    """A rebalance is under way."""
    await park(world, a_slip())
    own(world)

    assert not await world.release.let_go()
    assert released(world) == []


async def test_what_an_older_version_has_parked_is_let_go_by_any_replica(world: World):
    """Its rows say nothing of their partition."""
    for name, router in zip("ab", replicas(world), strict=True):
        for n in range(4):
            slip = a_slip(f"{name}{n}", position=1, parks=1)
            row = Row(slip.request_id, 1, "parked-1", slip.tenant, Cause(topics.CLEARED, 0, n), "", T0, b"{}")
            await world.steps.take([row], [Parking(slip.request_id, 1, None, T0, slip, BODY)])

        await router.release.let_go()

        assert await world.parked.queues() == []


async def test_a_rebalance_frees_the_places_of_what_was_let_go(world: World):
    """It may have gone to another replica, which counts its calls."""
    await park(world, *(a_slip(f"ticket-{i}") for i in range(40)))
    await world.release.let_go()
    full = await world.release.let_go(), len(released(world))

    own(world, 0)
    await world.release.let_go()

    assert full == (True, 12)
    assert len(released(world)) > 12


async def test_a_crash_between_publishing_and_deleting_releases_twice_and_dispatches_once(world: World):
    """R4: the row is deleted after the acknowledgement; the second release finds its step taken."""
    await park(world, a_slip())
    world.start(Failpoints.parse("release.after-publish=raise@1"))

    with pytest.raises(FailpointReached):
        await world.release.let_go()
    await world.release.let_go()
    first, second = results(world, EventType.RELEASED)

    assert len(await world.redeliver(first)) == 1
    assert await world.redeliver(second) == []


async def test_a_request_expires_in_the_queue_by_a_record(world: World):
    """R2: the sweeper says so on the results topic, and the router settles."""
    await park(world, a_slip(deadline_ms=T0 + 30_000), a_slip("later", deadline_ms=T0 + 90_000))

    await world.release.expire()
    (record,) = results(world, EventType.EXPIRED)
    (reply,) = await world.redeliver(record)

    assert decode(record.value).read(Ended).at_ms == T0 + 60_000
    assert dict(reply.headers)[headers.OUTCOME] == b"expired"
    assert len(await world.parked.queues()) == 1
    await world.release.let_go()
    assert released(world) == [a_slip("later").request_id]


async def test_a_cancelled_request_leaves_the_queue(world: World):
    slip = a_slip()
    await park(world, slip)

    await world.handle(ended(slip, nameless=True))

    assert await world.parked.queues() == []


async def test_a_body_that_is_lost_ends_its_request(world: World):
    large = b'{"messages":["' + b"x" * 70_000 + b'"]}'
    world.board.lost_vendors = VENDORS
    await world.handle(cleared(a_slip(), large))
    world.board.lost_vendors = frozenset()
    world.clock.advance(60)
    world.payloads = type(world.payloads)()
    world.start()

    await world.release.let_go()
    (record,) = results(world, EventType.DEAD_LETTERED)
    (reply,) = await world.handle(message(record))
    places = [world.board.release_room(deployment, world.clock.now_ms()) for deployment in world.config.deployments]

    assert dict(reply.headers)[headers.OUTCOME] == b"dead_lettered"
    assert places == [4, 4, 4], "nothing is on its way to them"


@given(st.lists(st.tuples(st.sets(st.sampled_from("abcd"), min_size=1), st.integers(0, 7)), max_size=60))
def test_shares_never_exceed_the_room(turns: list[tuple[set[str], int]]):
    fairness = DeficitRoundRobin()

    for waiting, room in turns:
        grants = fairness.grants(sorted(waiting), room)
        assert sum(grants.values()) <= room
        assert set(grants) <= waiting


@given(st.integers(1, 5), st.integers(1, 9), st.integers(1, 60))
def test_tenants_that_wait_all_the_time_get_the_same(tenants: int, room: int, turns: int):
    fairness, got = DeficitRoundRobin(), dict.fromkeys([f"t{i}" for i in range(tenants)], 0)

    for _ in range(turns):
        for tenant, share in fairness.grants(list(got), room).items():
            got[tenant] += share

    assert max(got.values()) - min(got.values()) <= 2
    assert sum(got.values()) >= turns * room - tenants
