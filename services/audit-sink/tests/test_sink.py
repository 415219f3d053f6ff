"""The sink on a real Postgres: every record once, whatever crashes and whoever else writes."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import asyncpg
import pytest

from allweather.audit_sink.adapters.log import LogRewound
from allweather.contracts import topics
from allweather.failpoints import FailpointReached, Failpoints
from allweather.messaging import Record, TopicPartition

if TYPE_CHECKING:
    from conftest import World

SHARDS = 2


def batches(records: Sequence[Record], size: int = 7) -> list[Sequence[Record]]:
    return [records[at : at + size] for at in range(0, len(records), size)]


def result(offset: int, shard: int = 0) -> Record:
    return Record(topics.RESULTS, shard, offset, 1_795_000_000_000, b"key", b"{}")


RESULTS = TopicPartition(topics.RESULTS, 0)


async def test_every_record_has_its_entry_and_the_log_verifies(world: "World") -> None:
    await world.audit(5)

    report = await world.verify()
    assert report.faults == []
    assert report.entries == report.copies == report.records == len(world.waiting())
    assert (report.shards, report.pending, report.gaps) == (SHARDS, 0, [])
    assert report.checkpoints == 3 * SHARDS


async def test_an_empty_log_verifies(world: "World") -> None:
    assert (await world.verify()).verified


async def test_records_that_are_not_entered_yet_are_pending_and_no_fault(world: "World") -> None:
    await world.audit(2)
    await world.publish(1)

    report = await world.verify()
    assert report.verified
    assert report.pending == len(world.waiting()) - report.entries > 0


async def test_the_size_of_batches_does_not_change_the_root(world: "World") -> None:
    await world.publish(6)
    await world.deliver(batches(world.waiting(), 5))
    small = await world.roots()
    await world.empty()

    world.start()
    await world.deliver([world.waiting()])

    assert await world.roots() == small


@pytest.mark.parametrize("point", ["audit.before-commit", "audit.after-commit"])
@pytest.mark.parametrize("turn", [1, 2, 4])
async def test_a_crash_between_two_steps_gives_the_root_of_a_clean_run(world: "World", point: str, turn: int) -> None:
    await world.publish(4)
    await world.deliver(batches(world.waiting()))
    clean = await world.roots()
    await world.empty()

    world.start(Failpoints.parse(f"{point}=raise@{turn}"))
    with pytest.raises(FailpointReached):
        await world.deliver(batches(world.waiting()))
    world.start()
    await world.deliver(batches(world.waiting()))
    await world.publishing.round()

    assert await world.roots() == clean
    report = await world.verify()
    assert report.verified
    assert report.entries == len(world.waiting())


async def test_what_was_committed_and_not_published_is_published_by_the_next_process(world: "World") -> None:
    await world.publish(3)
    world.start(Failpoints.parse("audit.after-commit=raise@1"))
    with pytest.raises(FailpointReached):
        await world.deliver([world.waiting()])
    assert world.broker.records(topics.AUDIT_ENTRIES) == []

    world.start()
    await world.deliver([])
    await world.publishing.round()

    assert len(world.broker.records(topics.AUDIT_ENTRIES)) == len(world.waiting())
    assert (await world.verify()).verified


async def test_a_copy_that_is_published_twice_is_identical_and_no_fault(world: "World") -> None:
    """A process that dies after publishing, before it says so, leaves the next one to publish again."""
    await world.audit(2)
    await world.tamper("UPDATE audit.trees SET published = 0")

    await world.publishing.round()

    report = await world.verify()
    assert report.verified
    assert report.copies == 2 * report.entries


async def test_of_two_writers_on_one_shard_one_loses_and_no_record_is_entered_twice(world: "World") -> None:
    """The loser sees what the winner has entered, and enters only the rest."""
    await world.publish(4)
    records = world.waiting()
    first, second = world.start(), world.start()
    for sink in (first, second):
        await sink.start_offsets({record.position for record in records})

    await asyncio.gather(first(records), second(records))
    await world.publishing.round()

    report = await world.verify()
    assert report.verified
    assert report.entries == len(records)


async def test_writers_that_race_over_many_batches_leave_one_consistent_log(world: "World") -> None:
    await world.publish(10)
    records = world.waiting()
    sinks = [world.start() for _ in range(3)]

    async def write(number: int) -> None:
        await sinks[number].start_offsets({record.position for record in records})
        for batch in batches(records, 5 + number):
            await sinks[number](batch)

    await asyncio.gather(*map(write, range(3)))
    await world.publishing.round()

    report = await world.verify()
    assert report.verified
    assert report.entries == len(records)


async def test_records_delivered_again_are_passed_over(world: "World") -> None:
    await world.publish(2)
    await world.deliver([world.waiting()])
    before = await world.roots()

    await world.sink(world.waiting())

    assert await world.roots() == before


async def test_missing_records_are_entered_as_a_gap(world: "World") -> None:
    await world.sink.start_offsets([RESULTS])

    await world.sink([result(0), result(1), result(5), result(6)])

    report = await world.verify()
    assert report.gaps == [(0, 2)]
    assert report.entries == 5
    assert world.sink.shards[0].offsets == {topics.RESULTS: 7}


async def test_a_log_that_has_lost_its_end_stops_the_process(world: "World") -> None:
    """Postgres crashed before it flushed: what the consumer has read meanwhile must be read again."""
    await world.sink.start_offsets([RESULTS])
    await world.sink([result(0)])
    await world.empty()

    with pytest.raises(LogRewound):
        await world.sink([result(1)])

    world.start()
    assert await world.sink.start_offsets([RESULTS]) == {RESULTS: 0}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit.entries SET entry = '{}'",
        "DELETE FROM audit.entries",
        "TRUNCATE audit.entries",
        "UPDATE audit.trees SET size = size - 1",
        "DELETE FROM audit.trees",
        "UPDATE audit.offsets SET next_offset = 0",
        "DELETE FROM audit.checkpoints",
        "TRUNCATE audit.checkpoints",
        "DELETE FROM audit.nodes",
    ],
)
async def test_the_tables_only_grow(world: "World", statement: str) -> None:
    await world.audit(1)

    async with world.postgres.pool.acquire() as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)


async def test_silence_is_signed_each_minute_and_not_more_often(world: "World") -> None:
    await world.audit(1, rounds=1)

    for seconds in (30, 29, 2, 30):
        world.clock.advance(seconds)
        await world.publishing.round()

    notes = [record.value for record in world.broker.records(topics.AUDIT_CHECKPOINTS) if record.partition == 0]
    assert len(notes) == 2
    assert (await world.verify()).verified


async def test_a_checkpoint_older_than_the_stored_one_is_not_signed_off(world: "World") -> None:
    """Two processes may sign the same shard for a moment; the log of checkpoints never goes back."""
    await world.audit(1, rounds=1)
    stale = [world.publishing._sign(head, 0) for head in await world.tables.heads([0])]  # pyright: ignore[reportPrivateUsage] - the other process

    assert await world.tables.seal(stale) == []
    assert (await world.verify()).verified
