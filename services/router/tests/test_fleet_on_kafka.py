"""A stand-in on a real broker: by Kafka's own description of the group, and through its rebalances."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from pathlib import Path
from uuid import uuid4

import pytest

from allweather.contracts import topics
from allweather.contracts.failures import FailureKind
from allweather.contracts.records import AttemptResult, decode
from allweather.messaging import Connection, KafkaBroker, OrderedConsumer, Outputs, Record
from allweather.messaging.topics import expand, load, provision
from allweather.router.adapters.fleet import STAND_IN, Fleet, has_worker, worker_group
from allweather.router.testing.memory import MemoryTables
from allweather.router.testing.records import a_slip, cleared, configuration, deployment
from allweather.router.testing.world import World

TOPICS = Path(__file__).parents[3] / "infra" / "kafka" / "topics.yaml"


@pytest.fixture
async def broker(kafka_bootstrap: str) -> AsyncGenerator[KafkaBroker]:
    async with KafkaBroker(Connection(kafka_bootstrap, "router-0")) as opened:
        yield opened


async def until(happened: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await happened():
            await asyncio.sleep(0.1)


async def test_a_dead_fleet_is_stood_in_for_until_a_worker_comes(kafka_bootstrap: str, broker: KafkaBroker):
    vendor = f"vendor-{uuid4().hex[:8]}"
    group, dispatch = worker_group(vendor), topics.dispatch(vendor)
    shipped = expand(load(TOPICS), [], [vendor])
    await provision(kafka_bootstrap, [topic for topic in shipped if topic.name in {dispatch, topics.RESULTS}])
    await broker.reachable()
    tables = MemoryTables()
    world = World(tables, tables, configuration(deployment(f"{vendor}/one")))
    slip = a_slip(f"ticket-{vendor}")
    (dispatched,) = await world.handle(cleared(slip))
    await broker.publisher.publish([dispatched])
    named = Connection(kafka_bootstrap, f"{STAND_IN}-0")
    fleet = Fleet([vendor], broker, lambda: KafkaBroker(named), lambda _group: (), world.board, world.clock)

    async def bounced() -> bool:
        await fleet.look()
        return bool([r async for r in broker.read_all([topics.RESULTS]) if r.key == dispatched.key])

    async def welcomed() -> bool:
        await fleet.look()
        return world.board.lost_vendors == frozenset()

    await fleet.look()
    world.clock.advance(10)
    await until(bounced)
    (result,) = [r async for r in broker.read_all([topics.RESULTS]) if r.key == dispatched.key]
    bounced_by = await broker.describe_group(group)
    taken: list[Record] = []

    async def take(batch: Sequence[Record]) -> Outputs:
        taken.extend(batch)
        return Outputs()

    stopping = asyncio.Event()
    async with KafkaBroker(Connection(kafka_bootstrap, f"{group}-0")) as other:
        worker = asyncio.create_task(OrderedConsumer(other, take, group=group, topics=[dispatch]).run(stopping))
        await until(welcomed)
        stopping.set()
        await worker

    assert decode(result.value).read(AttemptResult).failure is FailureKind.WORKER_LOST
    assert bounced_by.members
    assert not has_worker(bounced_by)
    assert taken == [], "what was bounced is committed, so the worker does not find it again"
