"""Dead worker fleets, judged by the groups of a broker in memory; `test_app.py` does the same on a real one."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping

import pytest
from msgspec.structs import replace

from allweather.contracts import topics
from allweather.contracts.failures import FailureKind
from allweather.contracts.records import AttemptResult, decode
from allweather.messaging import GroupState, MemoryBroker, PermanentError, TopicPartition
from allweather.messaging.ports import Committed, Membership, Rebalances, Subscription
from allweather.router.adapters.fleet import STAND_IN, Fleet, bounced, has_worker, worker_group
from allweather.router.testing.memory import MemoryTables
from allweather.router.testing.records import BODY, a_slip, cleared, configuration
from allweather.router.testing.world import World

GROUP = worker_group("alpha")


class Reads(Rebalances):
    """A worker that takes its partitions and does nothing."""

    async def revoked(self) -> None:
        """Nothing is in hand."""

    async def assigned(
        self, partitions: Collection[TopicPartition], committed: Mapping[TopicPartition, Committed]
    ) -> Mapping[TopicPartition, int]:
        return {}


class Scene:
    """A world whose worker fleets come and go."""

    def __init__(self) -> None:
        tables = MemoryTables()
        self.world = World(tables, tables, configuration())
        names = [topics.RESULTS, *(topics.dispatch(v.id) for v in self.world.config.vendors)]
        self.broker = MemoryBroker(dict.fromkeys(names, 2))
        stand_in = self.broker.named(f"{STAND_IN}-0")
        self.fleet = Fleet(
            ["alpha"], self.broker, lambda: stand_in, lambda _group: (), self.world.board, self.world.clock
        )

    async def worker(self) -> Membership:
        reads = Subscription((topics.dispatch("alpha"),))
        worker = self.broker.named("provider-worker.alpha-0")
        return await worker.join(group=GROUP, instance=None, subscription=reads, rebalances=Reads())

    async def lose(self) -> None:
        """Let nobody work for alpha for a while."""
        await self.fleet.look()
        self.world.clock.advance(10)
        await self.fleet.look()

    async def joined(self) -> GroupState:
        """The group, once somebody is in it."""
        async with asyncio.timeout(5):
            while not (group := await self.broker.describe_group(GROUP)).members:
                await asyncio.sleep(0.01)
        return group


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    made = Scene()
    yield made
    stopping = asyncio.Event()
    stopping.set()
    await made.fleet.run(stopping)


async def eventually(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not happened():
            await asyncio.sleep(0.01)


async def test_a_fleet_with_a_worker_is_left_alone(scene: Scene):
    await scene.worker()

    await scene.lose()

    assert scene.world.board.lost_vendors == frozenset()


async def test_nothing_more_is_sent_to_an_empty_fleet(scene: Scene):
    await scene.fleet.look()

    assert scene.world.board.lost_vendors == {"alpha"}


async def test_an_empty_fleet_is_given_five_seconds_before_its_records_are_bounced(scene: Scene):
    await scene.fleet.look()
    scene.world.clock.advance(4.9)
    await scene.fleet.look()
    before = await scene.broker.describe_group(GROUP)
    scene.world.clock.advance(0.1)
    await scene.fleet.look()

    assert before.members == ()
    await scene.joined()


async def test_a_dead_fleets_dispatches_are_bounced_as_worker_lost(scene: Scene):
    (dispatched,) = await scene.world.handle(cleared(a_slip()))
    await scene.broker.publish([dispatched])

    await scene.lose()
    await eventually(lambda: bool(scene.broker.records(topics.RESULTS)))

    (record,) = scene.broker.records(topics.RESULTS)
    envelope = decode(record.value)
    assert envelope.read(AttemptResult).failure is FailureKind.WORKER_LOST
    assert bytes(envelope.body) == BODY
    assert scene.world.board.lost_vendors == {"alpha"}


async def test_the_router_sends_a_bounced_request_elsewhere(scene: Scene):
    (dispatched,) = await scene.world.handle(cleared(a_slip()))
    record = await scene.world.record(dispatched)

    (elsewhere,) = await scene.world.handle(bounced(record, "alpha", scene.world.clock.now_ms()))

    assert elsewhere.topic == topics.dispatch("beta")


async def test_a_stand_in_leaves_when_a_worker_comes(scene: Scene):
    await scene.lose()

    await scene.worker()
    await scene.fleet.look()

    state = await scene.broker.describe_group(GROUP)
    assert [member.client_id for member in state.members] == ["provider-worker.alpha-0"]
    assert scene.world.board.lost_vendors == frozenset()


async def test_stand_ins_of_other_routers_are_no_workers(scene: Scene):
    await scene.lose()

    assert not has_worker(await scene.joined())


async def test_nothing_is_concluded_while_the_broker_is_away(scene: Scene):
    scene.broker.away = True

    await scene.lose()

    assert scene.world.board.lost_vendors == frozenset()
    scene.broker.away = False


async def test_a_dispatch_that_nobody_could_have_written_is_poison(scene: Scene):
    (dispatched,) = await scene.world.handle(cleared(a_slip()))
    broken = await scene.world.record(replace(dispatched, value=b"{"))

    with pytest.raises(PermanentError):
        bounced(broken, "alpha", 0)
