"""What is known to go wrong with Kafka and its client, each as a test on a real broker."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (aiokafka leaves much of its interface untyped; it is used here to write what no careful producer would)

import asyncio
import os
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.record.util import calc_crc32c

from allweather.messaging import (
    ConcurrentConsumer,
    Connection,
    KafkaBroker,
    Message,
    MessageTooLarge,
    OrderedConsumer,
    Outputs,
    PublishTimeout,
    Record,
    TailConsumer,
    TopicPartition,
    UnknownTopic,
)
from allweather.messaging.kafka import settings
from allweather.messaging.kafka.client import AdminClient
from allweather.messaging.ports import CommitRefused, Committed, Subscription
from allweather.messaging.suite import Hanging, numbered
from allweather.messaging.testing import QUICK, Seen, crash, eventually, running

Create = Callable[..., Awaitable[str]]


@pytest.fixture
def connection(kafka_bootstrap: str) -> Connection:
    return Connection(kafka_bootstrap, "tests")


@pytest.fixture
async def broker(connection: Connection) -> AsyncGenerator[KafkaBroker]:
    async with KafkaBroker(connection) as broker:
        yield broker


@pytest.fixture
async def create(connection: Connection, broker: KafkaBroker) -> AsyncGenerator[Create]:
    admin = AdminClient(connection)
    await admin.start()

    async def create(partitions: int = 1, **config: str) -> str:
        name = f"hazard.{uuid.uuid4().hex[:12]}"
        await admin.create(name, partitions, 1, {key.replace("_", "."): value for key, value in config.items()})
        await eventually(lambda: knows(broker, name))
        return name

    yield create
    await admin.close()


async def knows(broker: KafkaBroker, topic: str) -> bool:
    """Whether word of the topic has reached the client; a broker may acknowledge its creation a moment before."""
    return await broker.reachable() and broker.partitions(topic) is not None


async def values(broker: KafkaBroker, topic: str) -> list[bytes | None]:
    return [record.value async for record in broker.read_all([topic])]


# Producing


async def test_record_that_the_broker_finds_too_large_leaves_no_hole(broker: KafkaBroker, create: Create) -> None:
    """aiokafka never gives a sequence number back: without a new producer every later send would fail, silently."""
    topic = await create(max_message_bytes="10000")
    await broker.publisher.publish([Message(topic, os.urandom(9_000))])  # by the same producer as the large one

    with pytest.raises(MessageTooLarge):
        await broker.publisher.publish([Message(topic, os.urandom(20_000))])
    for _ in range(100):
        await broker.publisher.publish([Message(topic, os.urandom(9_000)), *numbered(topic, 9)])

    assert len(await values(broker, topic)) == 1001


async def test_neighbours_of_a_record_that_is_too_large_can_be_sent_again(broker: KafkaBroker, create: Create) -> None:
    """One of several messages in flight at the same time is refused: the others' senders need not know."""
    topic = await create(max_message_bytes="10000")

    results = await asyncio.gather(
        *(broker.publisher.publish([Message(topic, str(n).encode())]) for n in range(50)),
        broker.publisher.publish([Message(topic, os.urandom(20_000))]),
        *(broker.publisher.publish([Message(topic, str(n).encode())]) for n in range(50, 100)),
        return_exceptions=True,
    )

    assert [type(result) for result in results if result is not None] == [MessageTooLarge]
    assert {int(value or b"") for value in await values(broker, topic)} == set(range(100))


async def test_publisher_works_on_after_a_timeout(broker: KafkaBroker, create: Create) -> None:
    topic = await create()

    with pytest.raises(PublishTimeout):
        await broker.publisher.publish([Message(topic, b"perhaps")], timeout=0.0)
    await broker.publisher.publish([Message(topic, b"surely")])

    assert (await values(broker, topic))[-1] == b"surely"


async def test_cancelled_publish_disturbs_no_other(broker: KafkaBroker, create: Create) -> None:
    """Its message may arrive; that is what a cancelled publish means."""
    topic = await create()
    await broker.publisher.publish([Message(topic, b"first")])

    cancelled = asyncio.create_task(broker.publisher.publish([Message(topic, b"perhaps")]))
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    await broker.publisher.publish([Message(topic, b"last")])

    found = await values(broker, topic)
    assert (found[0], found[-1]) == (b"first", b"last")
    assert set(found) <= {b"first", b"perhaps", b"last"}


async def test_record_without_key_and_value_can_be_written(broker: KafkaBroker, create: Create) -> None:
    """aiokafka's `send` asserts that there is one of them; a tenant's tool may not, and its record must be kept."""
    topic = await create()

    await broker.publisher.publish([Message(topic, None, None, (("h", b"v"),))])

    (record,) = [record async for record in broker.read_all([topic])]
    assert (record.key, record.value, record.headers) == (None, None, (("h", b"v"),))


async def test_header_names_that_are_not_ascii_survive(broker: KafkaBroker, create: Create) -> None:
    topic = await create()

    await broker.publisher.publish([Message(topic, b"v", None, (("grüße-😀", b"1"),))])

    assert [record.headers async for record in broker.read_all([topic])] == [(("grüße-😀", b"1"),)]


# Reading what others wrote


class Vandal:
    """Writes batches with header names that are not UTF-8, which brokers do not look at."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._producer: Any = AIOKafkaProducer(bootstrap_servers=bootstrap)
        self._topic = topic

    async def write(self, *values: bytes) -> None:
        """One batch; each record has the header name b"\\xff\\xfe"."""
        await self._producer.start()
        batch = self._producer.create_batch()
        for value in values:
            batch.append(timestamp=1_700_000_000_000, key=b"k", value=value, headers=[("@@", b"opaque")])
        builder = batch._builder
        plain = builder.build

        def spoilt() -> bytes:
            data = bytearray(plain())
            assert b"@@" in data
            data = data.replace(b"@@", b"\xff\xfe")
            data[17:21] = calc_crc32c(bytes(data[21:])).to_bytes(4, "big")
            return bytes(data)

        batch._builder = Spoilt(builder, spoilt)
        batch.close()
        await (await self._producer.send_batch(batch, self._topic, partition=0))
        await self._producer.stop()


class Spoilt:
    """A batch builder whose product is changed on its way out."""

    def __init__(self, builder: Any, build: Callable[[], bytes]) -> None:
        self._builder, self.build = builder, build

    def __getattr__(self, name: str) -> Any:
        return getattr(self._builder, name)


async def test_header_name_that_is_not_utf8_stops_nobody(
    broker: KafkaBroker, create: Create, kafka_bootstrap: str
) -> None:
    """aiokafka raises at such a record, for ever: a tenant could stop every consumer of its topic with one."""
    topic, seen = await create(), Seen()
    await broker.publisher.publish([Message(topic, b"before", partition=0)])
    await Vandal(kafka_bootstrap, topic).write(b"bad 1", b"bad 2")
    await broker.publisher.publish([Message(topic, b"after", partition=0)])

    async with running(OrderedConsumer(broker, seen.batch, group=topic, topics=[topic], pace=QUICK)):
        await eventually(lambda: len(seen.records) >= 4)

    assert seen.values == [b"before", b"bad 1", b"bad 2", b"after"]
    assert [record.offset for record in seen.records] == [0, 1, 2, 3]
    assert seen.records[1] == Record(topic, 0, 1, 1_700_000_000_000, b"k", b"bad 1", (("\\xff\\xfe", b"opaque"),))
    assert await values(broker, topic) == seen.values


async def test_tail_reads_past_a_header_name_that_is_not_utf8(
    broker: KafkaBroker, create: Create, kafka_bootstrap: str
) -> None:
    topic = await create()

    async with TailConsumer(broker, [TopicPartition(topic, 0)]) as tail:
        await Vandal(kafka_bootstrap, topic).write(b"bad")
        assert [record.value for record in await anext(tail)] == [b"bad"]
        await broker.publisher.publish([Message(topic, b"good")])
        assert [record.value for record in await anext(tail)] == [b"good"]


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
async def test_other_peoples_codecs_are_read(
    broker: KafkaBroker, create: Create, kafka_bootstrap: str, compression: str
) -> None:
    topic = await create()
    producer: Any = AIOKafkaProducer(bootstrap_servers=kafka_bootstrap, compression_type=compression)
    await producer.start()
    await producer.send_and_wait(topic, b"x" * 1000)
    await producer.stop()

    assert await values(broker, topic) == [b"x" * 1000]


async def test_aborted_transaction_is_not_read(broker: KafkaBroker, create: Create, kafka_bootstrap: str) -> None:
    topic = await create()
    producer: Any = AIOKafkaProducer(bootstrap_servers=kafka_bootstrap, transactional_id=topic)
    await producer.start()
    for value, committed in ((b"aborted", False), (b"committed", True)):
        await producer.begin_transaction()
        await producer.send_and_wait(topic, value)
        await (producer.commit_transaction() if committed else producer.abort_transaction())
    await producer.stop()

    assert await values(broker, topic) == [b"committed"]


# Groups


async def test_late_commit_is_refused_and_changes_nothing(broker: KafkaBroker, create: Create) -> None:
    """The partitions have gone to another member, which alone may say how far the group is."""
    topic, at = await create(), None

    class Noted:
        def __init__(self) -> None:
            self.partitions: frozenset[TopicPartition] | None = None

        async def revoked(self) -> None:
            self.partitions = None

        async def assigned(
            self, partitions: Collection[TopicPartition], committed: Mapping[TopicPartition, Committed]
        ) -> Mapping[TopicPartition, int]:
            self.partitions = frozenset(partitions)
            return {}

    at = TopicPartition(topic, 0)
    notes = [Noted(), Noted()]
    subscription = Subscription((topic,))
    first = await broker.join(group=topic, instance=None, subscription=subscription, rebalances=notes[0])
    second = await broker.join(group=topic, instance=None, subscription=subscription, rebalances=notes[1])
    try:
        await eventually(lambda: all(note.partitions is not None for note in notes))
        loser = second if notes[0].partitions else first

        with pytest.raises(CommitRefused):
            await loser.commit({at: Committed(1)})

        assert await broker.committed(topic) == {}
    finally:
        await first.close()
        await second.close()


async def test_slow_handler_does_not_lose_its_membership(
    broker: KafkaBroker, create: Create, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond `max_poll_interval_ms` without a poll the client leaves the group; here a poll is always under way."""
    monkeypatch.setitem(settings.MEMBER, "max_poll_interval_ms", 1000)
    topic, seen = await create(), Seen()

    async def slow(records: Sequence[Record]) -> Outputs:
        await asyncio.sleep(4.0)  # longer than the interval and a heartbeat together
        return await seen.batch(records)

    await broker.publisher.publish([Message(topic, b"x")])
    async with running(OrderedConsumer(broker, slow, group=topic, topics=[topic], pace=QUICK)):
        await eventually(lambda: _finished(broker, topic, 1))

    assert seen.values == [b"x"]


async def test_consumer_of_a_topic_that_does_not_exist_says_so(
    broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(settings.MEMBER, "request_timeout_ms", 1000)

    with pytest.raises(UnknownTopic):
        await OrderedConsumer(broker, Seen().batch, group="g", topics=["hazard.none"]).run(asyncio.Event())


async def test_group_without_a_committed_place_begins_at_the_earliest_record(
    broker: KafkaBroker, create: Create
) -> None:
    """The client's own default is the latest: everything published before the first start would be lost."""
    topic, seen = await create(), Seen()
    await broker.publisher.publish(numbered(topic, 3))

    async with running(ConcurrentConsumer(broker, seen.record, group=topic, topics=[topic], pace=QUICK)):
        await eventually(lambda: len(seen.records) == 3)


async def test_stuck_handler_does_not_hold_up_a_rebalance(broker: KafkaBroker, create: Create) -> None:
    topic, hang, seen = await create(2), Hanging(), Seen()
    await broker.publisher.publish([Message(topic, b"x", partition=n) for n in range(2)])
    pace = replace(QUICK, revoke_grace=0.2)

    async with running(OrderedConsumer(broker, hang.batch, group=topic, topics=[topic], pace=pace)) as first:
        await eventually(lambda: bool(hang.records))
        async with running(OrderedConsumer(broker, seen.batch, group=topic, topics=[topic], pace=QUICK)):
            await eventually(lambda: bool(seen.records))
            await crash(first)
            await eventually(lambda: len(seen.records) == 2)


async def _finished(broker: KafkaBroker, group: str, offset: int) -> bool:
    return any(place.offset == offset for place in (await broker.committed(group)).values())
