"""The promises of a broker, as a suite that every implementation inherits.

    class TestKafka(BrokerSuite):
        @pytest.fixture
        async def broker(self): ...     # started, closed after the test

        @pytest.fixture
        async def create(self): ...     # awaitable: makes a topic with so many partitions

Topics and groups have fresh names in each test, so one broker serves them all.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from allweather.messaging import (
    Broker,
    ConcurrentConsumer,
    Fenced,
    Linger,
    Message,
    MessageTooLarge,
    OrderedConsumer,
    Outputs,
    Record,
    TailConsumer,
    TopicPartition,
    UnknownTopic,
)
from allweather.messaging.lanes import limit_of
from allweather.messaging.ports import StartOffsets
from allweather.messaging.testing import QUICK, Seen, crash, eventually, running

Create = Callable[[str, int], Awaitable[None]]


def numbered(topic: str, count: int, *, partition: int | None = 0) -> list[Message]:
    return [Message(topic, str(n).encode(), str(n).encode(), partition=partition) for n in range(count)]


class BrokerSuite:
    @pytest.fixture
    def name(self) -> str:
        return f"test.{uuid.uuid4().hex[:12]}"

    @pytest.fixture
    async def topic(self, name: str, create: Create) -> str:
        await create(name, 1)
        return name

    @pytest.fixture
    async def wide(self, name: str, create: Create) -> str:
        """A topic of four partitions."""
        await create(f"{name}.wide", 4)
        return f"{name}.wide"

    @pytest.fixture
    async def target(self, name: str, create: Create) -> str:
        await create(f"{name}.target", 4)
        return f"{name}.target"

    async def read(self, broker: Broker, *topics: str) -> list[Record]:
        return [record async for record in broker.read_all(topics)]

    # Publishing

    async def test_published_bytes_are_read_unchanged(self, broker: Broker, topic: str) -> None:
        """Null and opaque headers, repeated names, and their order survive."""
        headers = (("a", b"\xff\x00"), ("none", None), ("a", "ü".encode()), ("empty", b""))

        await broker.publisher.publish([Message(topic, b"value", b"\xfekey", headers)])

        (record,) = await self.read(broker, topic)
        assert (record.key, record.value, record.headers) == (b"\xfekey", b"value", headers)
        assert record.text("a") == "ü"
        assert record.timestamp_ms > 0

    async def test_tombstone_and_empty_value_differ(self, broker: Broker, topic: str) -> None:
        await broker.publisher.publish([Message(topic, None, b"k"), Message(topic, b"", b"k")])

        assert [record.value for record in await self.read(broker, topic)] == [None, b""]

    async def test_messages_of_one_call_keep_their_order_in_a_partition(self, broker: Broker, topic: str) -> None:
        await broker.publisher.publish(numbered(topic, 300))

        assert [record.offset for record in await self.read(broker, topic)] == list(range(300))
        assert [record.value for record in await self.read(broker, topic)] == [str(n).encode() for n in range(300)]

    async def test_large_and_small_messages_keep_their_order(self, broker: Broker, topic: str) -> None:
        """Large ones are compressed, small ones are not; that must not show."""
        values = [b"small", b"L" * 100_000, b"small again"]

        await broker.publisher.publish([Message(topic, value, b"k") for value in values])

        assert [record.value for record in await self.read(broker, topic)] == values

    async def test_key_chooses_the_partition_of_every_kafka_client(self, broker: Broker, wide: str) -> None:
        """The hashes of these keys are in the tests of Kafka's own client."""
        hashes = {b"21": -973932308, b"foobar": -790332482, b"abc": 479470107}

        await broker.publisher.publish([Message(wide, None, key) for key in hashes])

        found = {record.key: record.partition for record in await self.read(broker, wide)}
        assert found == {key: (hashed & 0x7FFFFFFF) % 4 for key, hashed in hashes.items()}

    async def test_explicit_partition_wins_over_the_key(self, broker: Broker, wide: str) -> None:
        await broker.publisher.publish([Message(wide, b"x", b"a", partition=n) for n in range(4)])

        assert sorted(record.partition for record in await self.read(broker, wide)) == [0, 1, 2, 3]

    async def test_oversize_message_is_refused_and_nothing_is_sent(self, broker: Broker, topic: str) -> None:
        with pytest.raises(MessageTooLarge):
            await broker.publisher.publish([Message(topic, b"ok"), Message(topic, b"x" * limit_of(topic))])

        assert await self.read(broker, topic) == []

    async def test_largest_message_that_is_not_refused_is_taken(self, broker: Broker, topic: str) -> None:
        value = b"x" * (limit_of(topic) - 100)

        await broker.publisher.publish([Message(topic, value)])

        assert [len(record.value or b"") for record in await self.read(broker, topic)] == [len(value)]

    async def test_unknown_topic_and_partition_are_refused_without_waiting(self, broker: Broker, topic: str) -> None:
        for message in (Message(f"{topic}.none", b"x"), Message(topic, b"x", partition=1)):
            with pytest.raises(UnknownTopic):
                await broker.publisher.publish([Message(topic, b"ok"), message])

        assert await self.read(broker, topic) == []

    async def test_partitions_come_from_memory(self, broker: Broker, wide: str) -> None:
        await eventually(lambda: broker.partitions(wide) == 4)

        assert broker.partitions(f"{wide}.none") is None

    # Consuming in order

    async def test_ordered_consumer_hands_over_every_record_in_the_order_of_its_partition(
        self, broker: Broker, wide: str, name: str
    ) -> None:
        seen = Seen()
        await broker.publisher.publish([message for n in range(4) for message in numbered(wide, 250, partition=n)])

        async with running(OrderedConsumer(broker, seen.batch, group=name, topics=[wide], pace=QUICK)):
            await eventually(lambda: len(seen.records) == 1000)

        for partition in range(4):
            offsets = [record.offset for record in seen.records if record.partition == partition]
            assert offsets == list(range(250))

    async def test_records_that_are_kept_back_come_when_their_time_is_over(
        self, broker: Broker, topic: str, name: str
    ) -> None:
        seen, pace = Seen(), replace(QUICK, gather=0.2)

        async with running(OrderedConsumer(broker, seen.batch, group=name, topics=[topic], pace=pace)):
            await broker.publisher.publish(numbered(topic, 3))
            await eventually(lambda: len(seen.records) == 3)

    async def test_what_comes_soon_after_a_batch_comes_together(self, broker: Broker, topic: str, name: str) -> None:
        batches: list[int] = []

        async def handle(records: Sequence[Record]) -> Outputs:
            batches.append(len(records))
            return Outputs()

        pace = replace(QUICK, linger=Linger(each=1.0, longest=1.0))
        async with running(OrderedConsumer(broker, handle, group=name, topics=[topic], pace=pace)):
            await broker.publisher.publish(numbered(topic, 1))
            await eventually(lambda: batches == [1])
            for _ in range(4):
                await broker.publisher.publish(numbered(topic, 1))
            await eventually(lambda: sum(batches) == 5)

        assert batches == [1, 4]

    async def test_outputs_are_published_before_the_place_is_committed(
        self, broker: Broker, topic: str, target: str, name: str
    ) -> None:
        seen = Seen(target)
        await broker.publisher.publish(numbered(topic, 10))

        async with running(OrderedConsumer(broker, seen.batch, group=name, topics=[topic], pace=QUICK)):
            await eventually(lambda: self._finished(broker, name, topic, 10))

            assert len(await self.read(broker, target)) == 10

    async def test_stop_commits_what_is_done(self, broker: Broker, topic: str, name: str) -> None:
        seen = Seen()
        await broker.publisher.publish(numbered(topic, 10))

        async with running(OrderedConsumer(broker, seen.batch, group=name, topics=[topic])):
            await eventually(lambda: len(seen.records) == 10)

        assert await self._finished(broker, name, topic, 10)

    async def test_unacknowledged_batch_is_delivered_again_after_a_crash(
        self, broker: Broker, topic: str, name: str
    ) -> None:
        seen, hang = Seen(), Hanging()
        await broker.publisher.publish(numbered(topic, 3))
        async with running(OrderedConsumer(broker, hang.batch, group=name, topics=[topic], pace=QUICK)) as task:
            await eventually(lambda: len(hang.records) == 3)
            await crash(task)

        async with running(OrderedConsumer(broker, seen.batch, group=name, topics=[topic], pace=QUICK)):
            await eventually(lambda: len(seen.records) == 3)

    async def test_after_ack_runs_when_the_outputs_are_acknowledged(
        self, broker: Broker, topic: str, target: str, name: str
    ) -> None:
        found: list[int] = []

        async def handle(records: Sequence[Record]) -> Outputs:
            async def count() -> None:
                found.append(len(await self.read(broker, target)))

            return Outputs([Message(target, record.value) for record in records], count)

        await broker.publisher.publish(numbered(topic, 5))
        async with running(OrderedConsumer(broker, handle, group=name, topics=[topic], pace=QUICK)):
            await eventually(lambda: sum(found) > 0)

        assert found[-1] == 5

    async def test_pattern_finds_topics_that_are_made_later(
        self, broker: Broker, topic: str, name: str, create: Create
    ) -> None:
        seen = Seen()
        consumer = OrderedConsumer(broker, seen.batch, group=name, pattern=f"^{topic}\\.tenant-.*$", pace=QUICK)
        await create(f"{topic}.tenant-a", 1)

        async with running(consumer):
            await eventually(lambda: len(consumer.assignment) == 1)
            await create(f"{topic}.tenant-b", 1)
            await eventually(lambda: broker.partitions(f"{topic}.tenant-b") == 1)
            await broker.publisher.publish([Message(f"{topic}.tenant-b", b"hello")])
            await eventually(lambda: seen.values == [b"hello"])

    async def test_external_offsets_say_where_to_read_from(self, broker: Broker, topic: str, name: str) -> None:
        """However long their home takes to answer, nothing is delivered before."""
        seen = Seen()

        async def starts(partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
            await asyncio.sleep(0.5)
            return dict.fromkeys(partitions, 7)

        await broker.publisher.publish(numbered(topic, 10))
        consumer = OrderedConsumer(broker, seen.batch, group=name, topics=[topic], start_offsets=starts, pace=QUICK)
        async with running(consumer):
            await eventually(lambda: seen.values == [b"7", b"8", b"9"])

    # Groups

    async def test_members_share_partitions_and_survivors_take_over(self, broker: Broker, wide: str, name: str) -> None:
        first = OrderedConsumer(broker, Seen().batch, group=name, topics=[wide], pace=QUICK)
        second = OrderedConsumer(broker, Seen().batch, group=name, topics=[wide], pace=QUICK)

        async with running(first):
            async with running(second):
                await eventually(lambda: len(first.assignment) == len(second.assignment) == 2)
                assert len((await broker.describe_group(name)).members) == 2
            await eventually(lambda: len(first.assignment) == 4)

    async def test_nothing_is_delivered_twice_when_members_come_and_go(
        self, broker: Broker, wide: str, name: str
    ) -> None:
        """A rebalance waits for the batch in hand and commits it."""
        seen = Seen()

        def consumer() -> OrderedConsumer:
            return OrderedConsumer(broker, seen.batch, group=name, topics=[wide], pace=QUICK)

        async with running(consumer()), AsyncExitStack() as others:
            for round_ in range(3):
                await broker.publisher.publish(
                    [message for n in range(4) for message in numbered(wide, 25, partition=n)]
                )
                await others.enter_async_context(running(consumer()))
                await eventually(lambda total=(round_ + 1) * 100: len(seen.records) >= total)

        places = [(record.partition, record.offset) for record in seen.records]
        assert len(places) == len(set(places)) == 300

    async def test_group_says_how_far_behind_it_is(self, broker: Broker, topic: str, name: str) -> None:
        seen, at = Seen(), TopicPartition(topic, 0)
        await broker.publisher.publish(numbered(topic, 4))
        async with running(OrderedConsumer(broker, seen.batch, group=name, topics=[topic], pace=QUICK)):
            await eventually(lambda: len(seen.records) == 4)

        await broker.publisher.publish(numbered(topic, 6))

        assert await broker.lag(name) == {at: 6}
        assert await broker.end_offsets([at]) == {at: 10}
        assert await broker.beginning_offsets([at]) == {at: 0}

    async def test_group_that_nobody_joined_has_no_members(self, broker: Broker, name: str) -> None:
        state = await broker.describe_group(name)

        assert (state.state, state.members) == ("Dead", ())

    async def test_member_is_known_by_its_instance(self, broker: Broker, topic: str, name: str) -> None:
        consumer = OrderedConsumer(broker, Seen().batch, group=name, instance=f"{name}-0", topics=[topic], pace=QUICK)

        async with running(consumer):
            await eventually(lambda: bool(consumer.assignment))
            (member,) = (await broker.describe_group(name)).members

        assert member.instance_id == f"{name}-0"

    async def test_second_process_with_the_same_instance_ends_the_first(
        self, broker: Broker, topic: str, name: str
    ) -> None:
        """Left alone, the two would throw each other out in turn, without an end."""
        first, second = (self.static(broker, name, 0, topic) for _ in range(2))
        task = asyncio.create_task(first.run(asyncio.Event()))
        await eventually(lambda: bool(first.assignment))

        async with running(second):
            await eventually(lambda: bool(second.assignment))
            with pytest.raises(Fenced):
                await asyncio.wait_for(task, 30)
            await broker.publisher.publish(numbered(topic, 1))
            await eventually(lambda: self._finished(broker, name, topic, 1))

    async def test_restart_of_a_static_member_disturbs_nobody(self, broker: Broker, wide: str, name: str) -> None:
        rebalances: list[int] = []

        async def counted(partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
            rebalances.append(len(partitions))
            return {}

        async with running(stayer := self.static(broker, name, 0, wide, counted)):
            async with running(leaver := self.static(broker, name, 1, wide)):
                await eventually(lambda: len(stayer.assignment) == len(leaver.assignment) == 2)
            before = len(rebalances)
            async with running(comer := self.static(broker, name, 1, wide)):
                await eventually(lambda: len(comer.assignment) == 2)

        assert len(rebalances) == before

    # Consuming many at a time

    async def test_concurrent_consumer_finishes_in_any_order_and_commits_up_to_the_first_gap(
        self, broker: Broker, topic: str, target: str, name: str
    ) -> None:
        held = Held(target, {b"2"})
        await broker.publisher.publish(numbered(topic, 10))

        async with running(ConcurrentConsumer(broker, held.record, group=name, topics=[topic], pace=QUICK)):
            await eventually(lambda: self._published(broker, target, 9))
            await eventually(lambda: self._finished(broker, name, topic, 2))
            held.release.set()
            await eventually(lambda: self._finished(broker, name, topic, 10))

    async def test_finished_records_beyond_the_gap_are_not_handled_again_after_a_crash(
        self, broker: Broker, topic: str, target: str, name: str
    ) -> None:
        held, seen = Held(target, {b"2"}), Seen()
        await broker.publisher.publish(numbered(topic, 10))
        first = ConcurrentConsumer(broker, held.record, group=name, topics=[topic], pace=QUICK)
        async with running(first) as task:
            await eventually(lambda: first.in_flight == 1)
            await eventually(lambda: self._noted(broker, name, topic))
            await crash(task)

        async with running(ConcurrentConsumer(broker, seen.record, group=name, topics=[topic], pace=QUICK)):
            await eventually(lambda: self._finished(broker, name, topic, 10))

        assert seen.values == [b"2"]

    async def test_window_bounds_the_records_in_flight(
        self, broker: Broker, topic: str, target: str, name: str
    ) -> None:
        held = Held(target, {str(n).encode() for n in range(700)})
        await broker.publisher.publish(numbered(topic, 700))
        consumer = ConcurrentConsumer(broker, held.record, group=name, topics=[topic], window=8, pace=QUICK)

        async with running(consumer):
            await eventually(lambda: consumer.in_flight == 8)
            held.release.set()
            await eventually(lambda: self._finished(broker, name, topic, 700))

        assert held.most == 8

    async def test_handler_survives_a_rebalance_and_runs_once(
        self, broker: Broker, wide: str, target: str, name: str
    ) -> None:
        """Its partition comes back while it runs: the redelivered record is recognised."""
        held = Held(target, {b"0", b"1", b"2", b"3"})
        await broker.publisher.publish([Message(wide, str(n).encode(), partition=n) for n in range(4)])
        first = ConcurrentConsumer(broker, held.record, group=name, topics=[wide], pace=QUICK)

        async with running(first):
            await eventually(lambda: first.in_flight == 4)
            async with running(ConcurrentConsumer(broker, Seen().record, group=name, topics=[wide], pace=QUICK)):
                await eventually(lambda: len(first.assignment) == 2)
            await eventually(lambda: len(first.assignment) == 4)
            held.release.set()
            await eventually(lambda: self._published(broker, target, 4))

        assert len(held.begun) == 4
        assert set(held.begun) == {b"0", b"1", b"2", b"3"}

    # Tails

    async def test_tail_sees_only_what_is_published_after_it_was_opened(self, broker: Broker, topic: str) -> None:
        await broker.publisher.publish(numbered(topic, 5))

        async with TailConsumer(broker, [TopicPartition(topic, 0)]) as tail:
            await broker.publisher.publish([Message(topic, b"new")])
            assert [record.value for record in await anext(tail)] == [b"new"]

    async def test_tail_starts_at_an_offset_when_told(self, broker: Broker, topic: str) -> None:
        at = TopicPartition(topic, 0)
        await broker.publisher.publish(numbered(topic, 5))

        async with TailConsumer(broker, [at], starts={at: 3}) as tail:
            assert [record.value for record in await anext(tail)] == [b"3", b"4"]

    async def test_tail_moves_to_other_partitions_and_misses_nothing(self, broker: Broker, wide: str) -> None:
        first, second = TopicPartition(wide, 0), TopicPartition(wide, 1)

        async with TailConsumer(broker, [first]) as tail:
            await broker.publisher.publish([Message(wide, b"before", partition=0)])
            await tail.move([first, second])
            await broker.publisher.publish([Message(wide, b"after", partition=1)])
            seen: list[bytes | None] = []
            while len(seen) < 2:
                seen += [record.value for record in await anext(tail)]

        assert set(seen) == {b"after", b"before"}

    # What the tests need again and again

    def static(
        self, broker: Broker, group: str, slot: int, topic: str, starts: StartOffsets | None = None
    ) -> OrderedConsumer:
        return OrderedConsumer(
            broker,
            Seen().batch,
            group=group,
            instance=f"{group}-{slot}",
            topics=[topic],
            start_offsets=starts,
            pace=QUICK,
        )

    async def _finished(self, broker: Broker, group: str, topic: str, offset: int) -> bool:
        place = (await broker.committed(group)).get(TopicPartition(topic, 0))
        return place is not None and place.offset == offset

    async def _noted(self, broker: Broker, group: str, topic: str) -> bool:
        place = (await broker.committed(group)).get(TopicPartition(topic, 0))
        return place is not None and place.offset == 2 and place.metadata != ""

    async def _published(self, broker: Broker, topic: str, count: int) -> bool:
        return len(await self.read(broker, topic)) == count


class Hanging:
    """A handler that takes records and never ends."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    async def batch(self, records: Sequence[Record]) -> Outputs:
        self.records.extend(records)
        await asyncio.Event().wait()
        return Outputs()


class Held:
    """A handler that copies records to a topic, some of them only when released."""

    def __init__(self, target: str, held: Collection[bytes]) -> None:
        self._target, self._held = target, held
        self.release = asyncio.Event()
        self.begun: list[bytes | None] = []
        self.now = self.most = 0

    async def record(self, record: Record) -> Outputs:
        self.begun.append(record.value)
        self.now += 1
        self.most = max(self.most, self.now)
        if record.value in self._held:
            await self.release.wait()
        self.now -= 1
        return Outputs([Message(self._target, record.value, record.key)])
