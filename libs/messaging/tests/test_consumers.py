"""What consumers do when things go wrong around them, on a broker in memory that can be told to go wrong."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import pytest

from allweather.failpoints import Failpoints
from allweather.messaging import (
    BatchHandler,
    ConcurrentConsumer,
    ConsumerStalled,
    MemoryBroker,
    Message,
    OrderedConsumer,
    Outputs,
    Record,
    RecordHandler,
    TopicPartition,
    TransientError,
    UnknownTopic,
    note_progress,
)
from allweather.messaging.consumers import intake
from allweather.messaging.lanes import limit_of
from allweather.messaging.middleware import Backoff, dead_letter, retry
from allweather.messaging.suite import Hanging, Held, numbered
from allweather.messaging.testing import QUICK, Seen, crash, eventually, running

TOPIC, TARGET = "ai.internal.a.v1", "ai.internal.b.v1"
IMPATIENT = replace(QUICK, stall_after=0.3)


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker({TOPIC: 1, TARGET: 1, f"{TOPIC}.dlq": 1})


def one_by_one(handler: RecordHandler) -> BatchHandler:
    async def handle(records: Sequence[Record]) -> Outputs:
        outputs = [await handler(record) for record in records]
        return Outputs([message for each in outputs for message in each.messages])

    return handle


async def stands_at(broker: MemoryBroker, offset: int) -> bool:
    """Whether the group has committed so far."""
    place = (await broker.committed("g")).get(TopicPartition(TOPIC, 0))
    return place is not None and place.offset == offset


async def test_dependency_that_is_away_is_waited_for(broker: MemoryBroker) -> None:
    failures = [TransientError("away")] * 3
    seen = Seen(TARGET)

    async def handle(records: Sequence[Record]) -> Outputs:
        if failures:
            raise failures.pop()
        return await seen.batch(records)

    await broker.publish(numbered(TOPIC, 3))
    middleware = [retry(group="g", backoff=Backoff(base=0.001))]
    async with running(OrderedConsumer(broker, handle, group="g", topics=[TOPIC], middleware=middleware, pace=QUICK)):
        await eventually(lambda: len(broker.records(TARGET)) == 3)


async def test_output_too_large_for_its_topic_is_its_records_fault(broker: MemoryBroker) -> None:
    async def handle(records: Sequence[Record]) -> Outputs:
        return Outputs([Message(TARGET, b"x" * limit_of(TARGET) if r.offset == 1 else r.value) for r in records])

    await broker.publish(numbered(TOPIC, 3))
    middleware = [dead_letter(group="g")]
    async with running(OrderedConsumer(broker, handle, group="g", topics=[TOPIC], middleware=middleware, pace=QUICK)):
        await eventually(lambda: len(broker.records(f"{TOPIC}.dlq")) == 1)

    assert [record.value for record in broker.records(TARGET)] == [b"0", b"2"]


async def test_bug_that_no_wrapper_deals_with_ends_the_consumer(broker: MemoryBroker) -> None:
    async def handle(_: Sequence[Record]) -> Outputs:
        raise ZeroDivisionError

    await broker.publish(numbered(TOPIC, 1))

    with pytest.raises(ZeroDivisionError):
        await OrderedConsumer(broker, handle, group="g", topics=[TOPIC]).run(asyncio.Event())


async def test_bug_in_one_of_many_ends_the_concurrent_consumer(broker: MemoryBroker) -> None:
    async def handle(_: Record) -> Outputs:
        raise ZeroDivisionError

    await broker.publish(numbered(TOPIC, 1))

    with pytest.raises(ZeroDivisionError):
        await ConcurrentConsumer(broker, handle, group="g", topics=[TOPIC]).run(asyncio.Event())


async def test_output_for_an_internal_topic_that_does_not_exist_ends_the_consumer(broker: MemoryBroker) -> None:
    """That is a deployment without its topics: stop, and say so."""
    await broker.publish(numbered(TOPIC, 1))

    with pytest.raises(UnknownTopic):
        await OrderedConsumer(broker, Seen("ai.internal.none.v1").batch, group="g", topics=[TOPIC]).run(asyncio.Event())


async def test_reply_to_a_topic_that_does_not_exist_is_kept_and_holds_nobody_up(broker: MemoryBroker) -> None:
    gone, letters = "ai.public.replies.demo.gone.v1", "ai.public.replies.demo.gone.v1.dlq"
    broker.create(letters, 1)
    await broker.publish(numbered(TOPIC, 1))

    async with running(OrderedConsumer(broker, Seen(gone).batch, group="g", topics=[TOPIC], pace=QUICK)):
        await eventually(lambda: len(broker.records(letters)) == 1)
        await eventually(lambda: stands_at(broker, 1))

    assert broker.records(letters)[0].text("dlq-reason") == f"no topic {gone}"


async def test_failure_after_the_acknowledgement_is_not_the_records_fault(broker: MemoryBroker) -> None:
    async def away() -> None:
        raise TransientError("redis is away")

    async def handle(_: Sequence[Record]) -> Outputs:
        return Outputs((), away)

    await broker.publish(numbered(TOPIC, 2))
    async with running(OrderedConsumer(broker, handle, group="g", topics=[TOPIC], pace=QUICK)):
        await eventually(lambda: stands_at(broker, 2))


async def test_batch_is_bounded_in_records_and_bytes(broker: MemoryBroker) -> None:
    sizes: list[tuple[int, int]] = []

    async def handle(records: Sequence[Record]) -> Outputs:
        sizes.append((len(records), sum(len(record.value or b"") for record in records)))
        return Outputs()

    await broker.publish([*numbered(TOPIC, 700), *(Message(TOPIC, b"x" * 1_000_000) for _ in range(10))])
    async with running(OrderedConsumer(broker, handle, group="g", topics=[TOPIC], pace=QUICK)):
        await eventually(lambda: sum(count for count, _ in sizes) == 710)

    assert max(count for count, _ in sizes) <= 500
    assert max(size for _, size in sizes) <= 4 * 1024 * 1024


async def test_long_back_pressure_pauses_and_goes_on(broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "_PATIENCE", 0.01)
    held = Held(TARGET, {b"0"})
    await broker.publish(numbered(TOPIC, 1700))
    consumer = OrderedConsumer(broker, one_by_one(held.record), group="g", topics=[TOPIC], pace=QUICK)

    async with running(consumer):
        await eventually(lambda: held.now == 1)
        await eventually(lambda: broker.paused("g") == {TopicPartition(TOPIC, 0)})
        held.release.set()
        await eventually(lambda: len(broker.records(TARGET)) == 1700)

    assert [int(record.value or b"") for record in broker.records(TARGET)] == list(range(1700))


# Groups that change


async def test_member_that_was_put_out_joins_again_and_loses_nothing(broker: MemoryBroker) -> None:
    seen = Seen()
    consumer = OrderedConsumer(broker, seen.batch, group="g", topics=[TOPIC], pace=QUICK)

    async with running(consumer):
        await eventually(lambda: bool(consumer.assignment))
        broker.evict("g")
        await broker.publish(numbered(TOPIC, 3))
        await eventually(lambda: seen.values == [b"0", b"1", b"2"])


async def test_batch_that_a_rebalance_does_not_wait_for_is_delivered_again(broker: MemoryBroker) -> None:
    hang, seen = Hanging(), Seen()
    impatient = replace(QUICK, revoke_grace=0.05)
    await broker.publish(numbered(TOPIC, 2))

    async with running(OrderedConsumer(broker, hang.batch, group="g", topics=[TOPIC], pace=impatient)) as first:
        await eventually(lambda: len(hang.records) == 2)
        async with running(OrderedConsumer(broker, seen.batch, group="g", topics=[TOPIC], pace=QUICK)):
            await crash(first)
            await eventually(lambda: len(seen.records) == 2)


async def test_result_of_a_handler_whose_partition_has_gone_is_published_but_not_committed(
    broker: MemoryBroker,
) -> None:
    held, brief = Held(TARGET, {b"0"}), replace(QUICK, revoke_grace=0.05)
    await broker.publish(numbered(TOPIC, 1))
    first = ConcurrentConsumer(broker, held.record, group="g", topics=[TOPIC], pace=QUICK)

    async with running(first):
        await eventually(lambda: first.in_flight == 1)
        broker.evict("g")
        async with running(OrderedConsumer(broker, Hanging().batch, group="g", topics=[TOPIC], pace=brief)) as second:
            await eventually(lambda: not first.assignment)
            held.release.set()
            await eventually(lambda: len(broker.records(TARGET)) == 1)
            await eventually(lambda: first.in_flight == 0)
            assert await broker.committed("g") == {}
            await crash(second)


# Stalls


async def test_consumer_that_gets_nothing_done_ends(broker: MemoryBroker) -> None:
    await broker.publish(numbered(TOPIC, 1))

    with pytest.raises(ConsumerStalled, match="1 records wait"):
        await OrderedConsumer(broker, Hanging().batch, group="g", topics=[TOPIC], pace=IMPATIENT).run(asyncio.Event())


async def test_waiting_for_a_known_reason_is_no_stall(broker: MemoryBroker) -> None:
    turns = 0

    async def handle(_: Sequence[Record]) -> Outputs:
        nonlocal turns
        while turns < 12:  # longer than a stall takes
            turns += 1
            note_progress()
            await asyncio.sleep(0.05)
        return Outputs()

    await broker.publish(numbered(TOPIC, 1))
    async with running(OrderedConsumer(broker, handle, group="g", topics=[TOPIC], pace=IMPATIENT)):
        await eventually(lambda: stands_at(broker, 1))

    assert turns == 12


async def test_call_inside_its_own_limit_is_no_stall(broker: MemoryBroker) -> None:
    async def slow(_: Record) -> Outputs:
        await asyncio.sleep(0.6)  # twice as long as a stall takes
        return Outputs()

    await broker.publish(numbered(TOPIC, 1))
    async with running(ConcurrentConsumer(broker, slow, group="g", topics=[TOPIC], pace=IMPATIENT)):
        await eventually(lambda: stands_at(broker, 1))


async def test_call_beyond_its_limit_is_a_stall(broker: MemoryBroker) -> None:
    held = Held(TARGET, {b"0"})
    await broker.publish(numbered(TOPIC, 1))
    pace = replace(IMPATIENT, call_limit=0.1)

    with pytest.raises(ConsumerStalled):
        await ConcurrentConsumer(broker, held.record, group="g", topics=[TOPIC], pace=pace).run(asyncio.Event())


async def test_broker_that_is_away_is_no_stall(broker: MemoryBroker) -> None:
    seen = Seen()
    async with running(OrderedConsumer(broker, seen.batch, group="g", topics=[TOPIC], pace=IMPATIENT)):
        await broker.publish(numbered(TOPIC, 1))
        broker.away = True
        await asyncio.sleep(0.6)  # twice as long as a stall takes
        broker.away = False
        await broker.publish(numbered(TOPIC, 1))
        await eventually(lambda: len(seen.records) == 2)


# External offsets


async def test_offsets_home_that_is_away_is_asked_again(broker: MemoryBroker) -> None:
    answers: list[int | None] = [None, None, 2]
    seen = Seen()

    async def starts(partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        answer = answers.pop(0)
        if answer is None:
            raise TransientError("postgres is away")
        return dict.fromkeys(partitions, answer)

    await broker.publish(numbered(TOPIC, 4))
    consumer = OrderedConsumer(broker, seen.batch, group="g", topics=[TOPIC], start_offsets=starts, pace=QUICK)
    async with running(consumer):
        await eventually(lambda: seen.values == [b"2", b"3"])


# Failpoints


async def test_guard_switched_off_commits_too_early(broker: MemoryBroker) -> None:
    """What the checker of the whole system must notice: the offset passes a record whose output is not there."""
    hole = Failpoints.parse("messaging.commit-after-ack=skip")
    broker.stuck.add(TARGET)
    await broker.publish(numbered(TOPIC, 1))

    async with running(
        OrderedConsumer(broker, Seen(TARGET).batch, group="g", topics=[TOPIC], pace=QUICK, failpoints=hole)
    ) as task:
        await eventually(lambda: stands_at(broker, 1))
        assert broker.records(TARGET) == []
        await crash(task)
