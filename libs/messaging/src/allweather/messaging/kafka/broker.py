"""The broker over Kafka."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from types import TracebackType
from typing import Self

from allweather.messaging.errors import BrokerAway, UnknownTopic
from allweather.messaging.kafka.client import ClientError, ConsumerClient, ProducerClient
from allweather.messaging.kafka.membership import KafkaMembership
from allweather.messaging.kafka.observer import Observer
from allweather.messaging.kafka.publisher import KafkaPublisher
from allweather.messaging.kafka.reader import KafkaReader
from allweather.messaging.kafka.settings import Connection
from allweather.messaging.metrics import Metrics, NoMetrics
from allweather.messaging.ports import Committed, GroupState, Publisher, Rebalances, Subscription
from allweather.messaging.types import Record, TopicPartition

log = logging.getLogger(__name__)

_REACHABLE_WITHIN = 5.0
_PAUSE = 0.5


class KafkaBroker:
    """An `async with` block in which the cluster can be used; to enter it, the cluster must have answered once.

    Clients are made when they are first needed, so a service that only publishes holds no consumer.
    """

    def __init__(self, connection: Connection, *, metrics: Metrics | None = None) -> None:
        self._connection = connection
        self._observer = Observer(connection)
        self._publisher = KafkaPublisher(
            lambda compress: ProducerClient(connection, compress=compress), self._observer, metrics or NoMetrics()
        )

    async def __aenter__(self) -> Self:
        try:
            await self._observer.start()
        except BaseException:
            await self._observer.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._publisher.close()
        await self._observer.close()

    @property
    def publisher(self) -> Publisher:
        return self._publisher

    async def join(
        self, *, group: str, instance: str | None, subscription: Subscription, rebalances: Rebalances
    ) -> KafkaMembership:
        # Never the same as an instance id, or the two could not be told apart in a member's id.
        connection = self._connection.named(f"{self._connection.client_id}:{group}")
        consumer = ConsumerClient(connection, group=group, instance=instance, gather=subscription.gather)
        membership = KafkaMembership(consumer, self._observer, rebalances, group=group, instance=instance)
        try:
            await membership.join(subscription)
        except BaseException:
            await membership.close()
            raise
        return membership

    async def reader(self) -> KafkaReader:
        consumer = ConsumerClient(self._connection)
        try:
            await consumer.start()
        except ClientError as error:
            raise BrokerAway(f"no reader: {error!r}") from error
        return KafkaReader(consumer)

    def partitions(self, topic: str) -> int | None:
        return self._observer.partitions(topic)

    async def reachable(self) -> bool:
        try:
            await self._observer.look(timeout=_REACHABLE_WITHIN)
        except BrokerAway:
            return False
        return True

    async def beginning_offsets(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        return await self._observer.beginning_offsets(partitions)

    async def end_offsets(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        return await self._observer.end_offsets(partitions)

    async def describe_group(self, group: str) -> GroupState:
        return await self._observer.group(group)

    async def committed(self, group: str) -> Mapping[TopicPartition, Committed]:
        return await self._observer.committed(group)

    async def lag(self, group: str) -> Mapping[TopicPartition, int]:
        places = await self.committed(group)
        ends = await self.end_offsets(places)
        return {at: ends[at] - place.offset for at, place in places.items()}

    async def read_all(self, topics: Sequence[str]) -> AsyncGenerator[Record]:
        await self._observer.look()
        partitions = [TopicPartition(topic, n) for topic in topics for n in range(self._count(topic))]
        begins, ends = await self.beginning_offsets(partitions), await self.end_offsets(partitions)
        reader = await self.reader()
        try:
            await reader.assign(begins)
            async with aclosing(
                reader.read_up_to({at: end for at, end in ends.items() if end > begins[at]})
            ) as records:
                async for record in records:
                    yield record
        finally:
            await reader.close()

    def _count(self, topic: str) -> int:
        count = self._observer.partitions(topic)
        if count is None:
            raise UnknownTopic(topic)
        return count


@asynccontextmanager
async def open_broker(connection: Connection, *, metrics: Metrics | None = None) -> AsyncGenerator[KafkaBroker]:
    """The broker of a service, which has nothing to do before the cluster answers: opening waits for that."""
    async with AsyncExitStack() as held:
        yield await _answering(connection, metrics, held)


async def _answering(connection: Connection, metrics: Metrics | None, held: AsyncExitStack) -> KafkaBroker:
    while True:
        try:
            return await held.enter_async_context(KafkaBroker(connection, metrics=metrics))
        except BrokerAway as error:
            log.warning("waiting for kafka: %s", error)
        await asyncio.sleep(_PAUSE)
