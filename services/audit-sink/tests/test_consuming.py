"""The sink behind its consumer: from topics to signed checkpoints, across crashes."""

import asyncio
from typing import TYPE_CHECKING

import pytest

from allweather.audit_sink.lag import Lag, LagUnknown
from allweather.audit_sink.publishing import EVERY_S
from allweather.audit_sink.reading import PIPELINE
from allweather.contracts import topics
from allweather.failpoints import OFF, FailpointReached, Failpoints
from allweather.messaging import Linger, OrderedConsumer, Pace

if TYPE_CHECKING:
    from conftest import World


def consumer_of(world: "World", failpoints: Failpoints = OFF) -> OrderedConsumer:
    sink = world.start(failpoints)
    return OrderedConsumer(
        world.broker,
        sink,
        group="audit-sink",
        pattern=PIPELINE,
        start_offsets=sink.start_offsets,
        pace=Pace(linger=Linger(0.01), max_records=5),
    )


async def entered(world: "World", entries: int) -> None:
    """Return once the log has so many entries."""
    async with asyncio.timeout(20):
        while sum(head.frontier.size for head in await world.tables.heads((0, 1))) < entries:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("point", ["audit.before-commit", "audit.after-commit"])
async def test_a_process_that_dies_in_mid_batch_leaves_nothing_out_and_nothing_twice(
    world: "World", point: str
) -> None:
    await world.publish(6)
    for turn in (1, 3):
        with pytest.raises(FailpointReached):
            await consumer_of(world, Failpoints.parse(f"{point}=raise@{turn}")).run(asyncio.Event())

    stopping = asyncio.Event()
    running = asyncio.create_task(consumer_of(world).run(stopping))
    await entered(world, len(world.waiting()))
    stopping.set()
    await running
    await world.publishing.round()

    report = await world.verify()
    assert report.verified
    assert report.entries == len(world.waiting())


async def test_what_is_entered_is_published_and_signed_by_itself(world: "World") -> None:
    stopping = asyncio.Event()
    consumer = consumer_of(world)
    async with asyncio.timeout(20), asyncio.TaskGroup() as running:
        running.create_task(consumer.run(stopping))
        running.create_task(world.publishing.run(stopping))
        await world.publish(2)
        while len(world.broker.records(topics.AUDIT_ENTRIES)) < len(world.waiting()):
            await asyncio.sleep(0.02)
            world.clock.advance(EVERY_S)
        stopping.set()

    report = await world.verify()
    assert report.verified
    assert report.checkpoints > 0


async def test_nothing_is_lost_while_postgres_is_locked(world: "World") -> None:
    """The batch waits in the consumer, and goes on when the lock is gone."""
    stopping = asyncio.Event()
    running = asyncio.create_task(consumer_of(world).run(stopping))
    await world.publish(1)
    await entered(world, len(world.waiting()))

    async with world.postgres.pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE audit.trees IN EXCLUSIVE MODE")
        await world.publish(1)
        await asyncio.sleep(0.1)
    await entered(world, len(world.waiting()))
    stopping.set()
    await running

    assert (await world.verify()).verified


async def test_the_lag_is_unknown_until_it_was_measured(world: "World") -> None:
    consumer = consumer_of(world)
    lag = Lag(world.broker, lambda: consumer.assignment, lambda: world.sink.shards)
    with pytest.raises(LagUnknown):
        await lag.ping()
    await lag.measure()
    with pytest.raises(LagUnknown):
        await lag.ping()

    stopping = asyncio.Event()
    await world.publish(2)
    running = asyncio.create_task(consumer.run(stopping))
    await entered(world, len(world.waiting()))

    assert sum((await lag.measure()).values()) == 0
    await lag.ping()
    stopping.set()
    await running
    await world.publish(1)
    assert sum((await Lag(world.broker, lambda: world.sources(), lambda: world.sink.shards).measure()).values()) > 0
