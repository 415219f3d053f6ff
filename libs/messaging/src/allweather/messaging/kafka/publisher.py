"""Publishing over Kafka: producers that are replaced when they are stuck, and two lanes that do not share any."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, NamedTuple

from allweather.messaging.errors import BrokerAway, MessageTooLarge, PermanentError, PublishTimeout, UnknownTopic
from allweather.messaging.kafka.client import REFUSED, TOO_LARGE, ClientError, ProducerClient
from allweather.messaging.kafka.observer import Observer
from allweather.messaging.kafka.renewable import Renewable
from allweather.messaging.kafka.settings import COMPRESS_FROM, PUBLISH_TIMEOUT
from allweather.messaging.lanes import Lane, check_size, lane_of, limit_of, size_of
from allweather.messaging.metrics import Metrics
from allweather.messaging.partitioning import partition_of
from allweather.messaging.tasks import heard
from allweather.messaging.types import Message

log = logging.getLogger(__name__)


class Placed(NamedTuple):
    message: Message
    partition: int


class Line:
    """The one producer of a lane and a codec."""

    def __init__(self, lane: Lane, make: Callable[[], ProducerClient], metrics: Metrics) -> None:
        self._lane, self._metrics = lane, metrics
        self._producer = Renewable(make)

    async def send(self, messages: Sequence[Placed], timeout: float) -> None:
        """Return when all are acknowledged."""
        producer: ProducerClient | None = None
        try:
            async with asyncio.timeout(timeout):
                while messages:
                    producer = await self._producer.get()
                    messages = await self._attempt(producer, messages)
        except TimeoutError:
            # An idempotent batch is retried for ever, and with it everything behind it: let go of all of them.
            self._discard(producer)
            self._metrics.count("messaging.publish.timeouts", lane=self._lane)
            raise PublishTimeout(f"{self._lane}: not acknowledged within {timeout:g} s") from None

    async def close(self) -> None:
        await self._producer.close()

    async def _attempt(self, producer: ProducerClient, messages: Sequence[Placed]) -> Sequence[Placed]:
        """Those that were certainly not the fault of their own failure, to be sent by another producer."""
        sent: list[asyncio.Future[Any]] = []
        try:
            for message, partition in messages:
                sent.append(await producer.send(message, partition))
            await asyncio.wait(sent)
        except ClientError as error:
            self._discard(producer, error)
            return messages
        finally:
            for future in sent:
                future.add_done_callback(heard)
        failed = [
            (placed, error) for placed, future in zip(messages, sent, strict=True) if (error := future.exception())
        ]
        if failed:
            # The failed batch has left a hole in the sequence: this producer's partition takes nothing any more.
            self._discard(producer, failed[0][1])
        for placed, error in failed:
            _raise_if_refused(placed.message, error)
        return [placed for placed, _ in failed]

    def _discard(self, producer: ProducerClient | None, error: BaseException | None = None) -> None:
        if producer is not None and self._producer.discard(producer):
            log.warning("lane %s: a new producer after %r", self._lane, error or "a timeout")
            self._metrics.count("messaging.producers.rebuilt", lane=self._lane)


class KafkaPublisher:
    """Sizes and topics are checked before anything is sent; then each lane is awaited on its own."""

    def __init__(self, make: Callable[[bool], ProducerClient], observer: Observer, metrics: Metrics) -> None:
        self._observer = observer
        lanes: tuple[Lane, Lane] = ("internal", "public")
        self._lines = {
            (lane, compress): Line(lane, lambda compress=compress: make(compress), metrics)
            for lane in lanes
            for compress in (False, True)
        }
        self._turn = count()

    async def publish(self, messages: Sequence[Message], *, timeout: float | None = None) -> None:
        limit = PUBLISH_TIMEOUT if timeout is None else timeout
        for message in messages:
            check_size(message)
        placed = [Placed(message, await self._partition(message, limit)) for message in messages]
        shares = self._shares(placed)
        if len(shares) == 1:
            ((line, share),) = shares.items()
            await line.send(share, limit)
        else:
            await asyncio.gather(*(line.send(share, limit) for line, share in shares.items()))

    async def close(self) -> None:
        await asyncio.gather(*(line.close() for line in self._lines.values()))

    def _shares(self, placed: Sequence[Placed]) -> dict[Line, list[Placed]]:
        """Each line's messages. A topic with one large message uses the compressing line for all of this call, because
        two producers would not keep their order."""
        large = {each.message.topic for each in placed if len(each.message.value or b"") >= COMPRESS_FROM}
        shares: dict[Line, list[Placed]] = {}
        for each in placed:
            topic = each.message.topic
            shares.setdefault(self._lines[lane_of(topic), topic in large], []).append(each)
        return shares

    async def _partition(self, message: Message, timeout: float) -> int:
        partitions = self._observer.partitions(message.topic)
        if partitions is None:
            partitions = await self._look(message.topic, timeout)
        if message.partition is not None:
            if not 0 <= message.partition < partitions:
                raise UnknownTopic(message.topic, message.partition)
            return message.partition
        if message.key is None:
            return next(self._turn) % partitions
        return partition_of(message.key, partitions)

    async def _look(self, topic: str, timeout: float) -> int:
        """The topic may be new."""
        try:
            await self._observer.look(timeout=timeout)
        except BrokerAway as error:
            raise PublishTimeout(f"whether there is a topic {topic} is unknown: {error}") from error
        partitions = self._observer.partitions(topic)
        if partitions is None:
            raise UnknownTopic(topic)
        return partitions


def _raise_if_refused(message: Message, error: BaseException) -> None:
    if isinstance(error, TOO_LARGE):
        raise MessageTooLarge(message.topic, size_of(message), limit_of(message.topic)) from error
    if isinstance(error, REFUSED):
        raise PermanentError(f"{message.topic} refuses records: {type(error).__name__}") from error
