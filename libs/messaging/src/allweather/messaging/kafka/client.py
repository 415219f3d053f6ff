"""The file that talks to a Kafka client: aiokafka behind the few calls that the rest of this package needs.

aiokafka's types say little, so its objects are `Any` here and our own types begin at the signatures below.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, codec
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.fetch import FetchRequest

from allweather.messaging.kafka import connections, fetching, sending, wire_format
from allweather.messaging.kafka.settings import CLOSE_TIMEOUT, MEMBER, PRODUCER, READER, Connection, gathering
from allweather.messaging.ports import Committed
from allweather.messaging.tasks import cancel, heard
from allweather.messaging.types import Message, Record, TopicPartition

wire_format.install()
connections.install()
fetching.install()
sending.install()

ClientError: Final = (KafkaError, TimeoutError, LookupError)
"""What a call can end with when brokers come and go. aiokafka also raises KeyError, from its table of connections."""
TOO_LARGE: Final = (MessageSizeTooLargeError, RecordListTooLargeError)
REFUSED: Final = (*TOO_LARGE, TopicAuthorizationFailedError)
"""What no second attempt can change."""
COMMIT_REFUSED: Final = (CommitFailedError, IllegalStateError)
UNKNOWN_TOPIC: Final = UnknownTopicOrPartitionError


def retriable(error: BaseException) -> bool:
    """Whether the same question may be answered in a moment: a coordinator moves, a leader is being elected."""
    return isinstance(error, KafkaError) and error.retriable


class Discarded(KafkaError):
    """The producer was thrown away while this message was in it."""


class Placed(NamedTuple):
    """A message and the partition that it goes to."""

    message: Message
    partition: int


class Sent(NamedTuple):
    """Messages that are acknowledged together, or fail together."""

    acknowledged: asyncio.Future[Any]
    messages: Sequence[Placed]


_WORTH_A_BATCH = 3


def _is_nothing(message: Message) -> bool:
    return message.key is None and message.value is None


def _append(batch: Any, message: Message) -> bool:
    """False when the batch is full."""
    headers = list(message.headers)
    return batch.append(timestamp=None, key=message.key, value=message.value, headers=headers) is not None


class ProducerClient:
    """An idempotent producer. After any error but a refused connection it must be discarded, not used again."""

    def __init__(self, connection: Connection, *, compress: bool) -> None:
        self._producer: Any = AIOKafkaProducer(
            **connection.options(), **PRODUCER, compression_type="zstd" if compress else None
        )

    async def start(self) -> None:
        try:
            await self._producer.start()
        except BaseException:
            await self.discard()
            raise

    async def send(self, messages: Sequence[Placed], sent: list[Sent]) -> None:
        """Queue messages, in order within a partition. What is dropped from `sent` is not taken back."""
        shares: dict[tuple[str, int], list[Placed]] = {}
        for placed in messages:
            shares.setdefault((placed.message.topic, placed.partition), []).append(placed)
        for (topic, partition), share in shares.items():
            if len(share) >= _WORTH_A_BATCH or any(_is_nothing(placed.message) for placed in share):
                await self._send_batches(topic, partition, share, sent)
            else:
                await self._send_each(KafkaPartition(topic, partition), share, sent)

    async def _send_each(self, at: KafkaPartition, share: Sequence[Placed], sent: list[Sent]) -> None:
        """The client puts messages of all callers into one batch, which a few at a time are better off with.

        Where it knows the partition, its accumulator is given them at once: there is nothing to wait for or to choose.
        """
        known = at.partition in self._producer.client.cluster._partitions.get(at.topic, ())
        add, limit = self._producer._message_accumulator.add_message, PRODUCER["request_timeout_ms"] / 1000
        for placed in share:
            message = placed.message
            headers = list(message.headers)  # a tuple fails in a task that nobody awaits
            if known:
                future = await add(at, message.key, message.value, limit, None, headers)
            else:
                future = await self._producer.send(at.topic, message.value, message.key, at.partition, None, headers)
            sent.append(Sent(future, (placed,)))

    async def _send_batches(self, topic: str, partition: int, share: Sequence[Placed], sent: list[Sent]) -> None:
        """Batches of our own: half the cost, and they also take a record without key and value, as Kafka does."""
        start = 0
        while start < len(share):
            batch = self._producer.create_batch()
            end = start
            while end < len(share) and _append(batch, share[end].message):
                end += 1
            batch.close()
            future = await self._producer.send_batch(batch, topic, partition=partition)
            sent.append(Sent(future, share[start:end]))
            start = end

    async def close(self) -> None:
        """Send what is queued and close, within the time limit."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._producer.flush()
        except TimeoutError:
            await self.discard()
        else:
            await self._producer.stop()

    async def discard(self) -> None:
        """Close at once. What is queued is failed instead of being retried for ever, or sent when nobody waits."""
        sender, failed = self._producer._sender.sender_task, self._producer._sender._fail_all
        accumulator = self._producer._message_accumulator
        queued = [each for batches in accumulator._batches.values() for each in batches]
        accumulator._pending_batches.update(queued)  # where the end of one that is queued again looks for itself
        accumulator.fail_all(Discarded("the producer was discarded"))
        for batch in queued:
            heard(batch._drain_waiter)  # fails with its batch, and is waited for by nobody
        if sender is not None:
            sender.remove_done_callback(failed)  # it takes our cancellation for a failure, and fails in saying so
            sender.add_done_callback(heard)
            sender.cancel()
            await asyncio.wait({sender}, timeout=CLOSE_TIMEOUT)
        await _try(self._producer.stop())


class _Listener(ConsumerRebalanceListener):
    def __init__(
        self,
        revoked: Callable[[], Awaitable[None]],
        assigned: Callable[[Collection[TopicPartition]], Awaitable[None]],
    ) -> None:
        self._revoked, self._assigned = revoked, assigned

    def on_partitions_revoked(self, revoked: Any) -> Any:  # noqa: ARG002 - aiokafka revokes all, always
        return self._revoked()

    def on_partitions_assigned(self, assigned: Any) -> Any:
        return self._assigned([TopicPartition(*at) for at in assigned])


class ConsumerClient:
    """A consumer, with a group or without one."""

    def __init__(
        self, connection: Connection, *, group: str | None = None, instance: str | None = None, gather: float = 0.0
    ) -> None:
        member = {**MEMBER, **gathering(gather), "group_id": group, "group_instance_id": instance}
        options: dict[str, Any] = {**connection.options(), **(member if group else READER)}
        self._consumer: Any = AIOKafkaConsumer(**options)

    def subscribe(
        self,
        topics: Sequence[str],
        pattern: str | None,
        revoked: Callable[[], Awaitable[None]],
        assigned: Callable[[Collection[TopicPartition]], Awaitable[None]],
    ) -> None:
        self._consumer.subscribe(topics=topics or (), pattern=pattern, listener=_Listener(revoked, assigned))

    async def start(self) -> None:
        """Connect; a member of a group has its first assignment when this returns."""
        try:
            await self._consumer.start()
        except BaseException:
            await self.close()
            raise

    def rest(self, seconds: float) -> None:
        """Fetch nothing for so long. Called in the turn in which a poll returns."""
        self._consumer._fetcher.rest(seconds)

    def member_id(self) -> str:
        """The id under which the group knows us since the last assignment."""
        return self._consumer._coordinator.member_id

    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition(*at) for at in self._consumer.assignment()}

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read these partitions from these offsets, without a group."""
        self._consumer.assign([KafkaPartition(*at) for at in positions])
        for at, offset in positions.items():
            self.seek(at, offset)

    def seek(self, at: TopicPartition, offset: int) -> None:
        self._consumer.seek(KafkaPartition(*at), offset)

    async def position(self, at: TopicPartition) -> int:
        return await self._consumer.position(KafkaPartition(*at))

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        self._consumer.pause(*(KafkaPartition(*at) for at in partitions))

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        self._consumer.resume(*(KafkaPartition(*at) for at in partitions))

    def paused(self) -> set[TopicPartition]:
        return {TopicPartition(*at) for at in self._consumer.paused()}

    async def poll(self, timeout: float, max_records: int) -> list[Record]:
        """Raises UnicodeDecodeError, for ever, where a header's name is not UTF-8: then `fetch_raw` reads on."""
        fetched = await self._consumer.getmany(timeout_ms=int(timeout * 1000), max_records=max_records)
        return [
            Record(topic, partition, each.offset, each.timestamp, each.key, each.value, each.headers)
            for (topic, partition), batch in fetched.items()
            for each in batch
        ]

    async def fetch_raw(self, at: TopicPartition, offset: int) -> bytes:
        """The bytes of the batches from `offset` on, as the broker keeps them."""
        client: Any = self._consumer._client
        leader = client.cluster.leader_for_partition(KafkaPartition(*at))
        size = READER["max_partition_fetch_bytes"]
        request = FetchRequest(0, 1, size, 1, [(at.topic, [(at.partition, offset, size)])])
        response = await client.send(leader, request)
        ((_, ((_, code, *_, batches),)),) = response.topics
        if code:
            raise for_code(code)(f"fetching {at}")
        return bytes(batches)

    async def commit(self, offsets: Mapping[TopicPartition, Committed]) -> None:
        await self._consumer.commit(
            {KafkaPartition(*at): (place.offset, place.metadata) for at, place in offsets.items()}
        )

    async def beginning_offsets(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        return _own(await self._consumer.beginning_offsets([KafkaPartition(*at) for at in partitions]))

    async def end_offsets(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        return _own(await self._consumer.end_offsets([KafkaPartition(*at) for at in partitions]))

    async def close(self) -> None:
        """Leave the group and close. A consumer that cannot, because it hangs itself, is taken apart."""
        if not await _try(self._consumer.stop()):
            await self._take_apart()

    discard = close

    async def _take_apart(self) -> None:
        # aiokafka has no way to close a consumer whose coordination waits for an answer that never comes.
        coordinator, fetcher = self._consumer._coordinator, self._consumer._fetcher
        tasks = [getattr(coordinator, name, None) for name in _COORDINATOR_TASKS]
        await cancel(*(task for task in tasks if task is not None and not task.done()))
        if fetcher is not None:
            await _try(fetcher.close())
        if coordinator is not None and hasattr(coordinator, "_maybe_leave_group"):
            await _try(coordinator._maybe_leave_group())
        await _try(self._consumer._client.close())


class AdminClient:
    """What is known of topics and groups, asked anew at every call."""

    def __init__(self, connection: Connection) -> None:
        self._admin: Any = AIOKafkaAdminClient(**connection.options(), request_timeout_ms=10_000)

    async def start(self) -> None:
        try:
            await self._admin.start()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        await _try(self._admin.close())

    discard = close

    async def partitions(self) -> dict[str, int]:
        """Every topic with the number of its partitions."""
        topics = await self._admin.describe_topics()
        return {topic["topic"]: len(topic["partitions"]) for topic in topics if not topic["error_code"]}

    async def brokers(self) -> int:
        return len((await self._admin.describe_cluster())["brokers"])

    async def create(self, name: str, partitions: int, replicas: int, config: Mapping[str, str]) -> bool:
        """Make a topic. False when there is one of that name."""
        topic = NewTopic(name, partitions, replicas, topic_configs=dict(config))
        response = await self._admin.create_topics([topic])
        (error,) = response.topic_errors
        kind = for_code(error[1])
        if kind is TopicAlreadyExistsError:
            return False
        if error[1]:
            raise kind(f"creating {name}: {error[2] if len(error) > 2 else ''}")
        return True

    async def configs(self, topics: Sequence[str]) -> dict[str, dict[str, str]]:
        """The whole configuration of each topic, as text."""
        asked = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in topics]
        resources = [each for response in await self._admin.describe_configs(asked) for each in response.resources]
        return {name: {entry[0]: entry[1] for entry in entries} for _, _, _, name, entries in resources}

    async def group(self, group: str) -> tuple[str, list[tuple[str, str, str]]]:
        """The state of a group, and the id, client id and host of every member."""
        (response,) = await self._admin.describe_consumer_groups([group])
        ((code, _, state, _, _, members, *_),) = response.groups
        if code:
            raise for_code(code)(f"describing {group}")
        return state, [(member[0], member[1], member[2]) for member in members]

    async def committed(
        self, group: str, partitions: Collection[TopicPartition] | None = None
    ) -> dict[TopicPartition, Committed]:
        """The group's place, in the given partitions or wherever it has one."""
        asked = None if partitions is None else [KafkaPartition(*at) for at in partitions]
        if asked is not None and not asked:
            return {}
        found = await self._admin.list_consumer_group_offsets(group, partitions=asked)
        return {TopicPartition(*at): Committed(*place) for at, place in found.items() if place.offset >= 0}


_COORDINATOR_TASKS = ("_coordination_task", "_heartbeat_task", "_commit_refresh_task")


def decompress(codec: int, data: bytes) -> bytes:
    """The records of a batch, by the number of its codec."""
    return _CODECS[codec](data)


_CODECS: Final[dict[int, Callable[[Any], Any]]] = {
    0: bytes,
    1: codec.gzip_decode,
    2: codec.snappy_decode,
    3: codec.lz4_decode,
    4: codec.zstd_decode,
}


async def _try(ending: Coroutine[Any, Any, Any]) -> bool:
    """The last words to a broker that may be gone. Whether they were said in time.

    As a task of its own: a closing of aiokafka's can also end by a cancellation that nobody asked for, out of one of
    its tasks that had no turn yet.
    """
    task = asyncio.create_task(ending)
    task.add_done_callback(heard)
    try:
        await asyncio.wait({task}, timeout=CLOSE_TIMEOUT)
    finally:
        task.cancel()
    return task.done() and not task.cancelled() and task.exception() is None


def _own(offsets: Mapping[Any, int]) -> dict[TopicPartition, int]:
    return {TopicPartition(*at): offset for at, offset in offsets.items()}
