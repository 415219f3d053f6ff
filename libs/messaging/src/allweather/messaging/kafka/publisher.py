"""Publishing over Kafka: producers that are replaced when they are stuck, and two lanes that do not share any."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from itertools import count

from allweather.messaging.errors import BrokerAway, MessageTooLarge, PermanentError, PublishTimeout, UnknownTopic
from allweather.messaging.kafka.client import REFUSED, TOO_LARGE, ClientError, Placed, ProducerClient, Sent
from allweather.messaging.kafka.observer import Observer
from allweather.messaging.kafka.renewable import Renewable
from allweather.messaging.kafka.settings import COMPRESS_FROM, PUBLISH_TIMEOUT
from allweather.messaging.lanes import Lane, check_size, lane_of, limit_of, size_of
from allweather.messaging.metrics import Metrics
from allweather.messaging.partitioning import partition_of
from allweather.messaging.tasks import heard, settled
from allweather.messaging.types import Message

log = logging.getLogger(__name__)


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
        sent: list[Sent] = []
        try:
            await producer.send(messages, sent)
            for part in sent:
                await settled(part.acknowledged)
        except ClientError as error:
            _unheard(sent)
            self._discard(producer, error)
            return messages
        except asyncio.CancelledError:
            _unheard(sent)
            raise
        failed = [(part, error) for part in sent if (error := part.acknowledged.exception())]
        if failed:
            # The failed batch has left a hole in the sequence: this producer's partition takes nothing any more.
            self._discard(producer, failed[0][1])
        for part, error in failed:
            _raise_if_refused(part, error)
        return [placed for part, _ in failed for placed in part.messages]

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
        partitions = {topic: await self._partitions(topic, limit) for topic in {each.topic for each in messages}}
        placed = [Placed(message, self._place(message, partitions[message.topic])) for message in messages]
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

    def _place(self, message: Message, partitions: int) -> int:
        if message.partition is not None:
            if not 0 <= message.partition < partitions:
                raise UnknownTopic(message.topic, message.partition)
            return message.partition
        if message.key is None:
            return next(self._turn) % partitions
        return partition_of(message.key, partitions)

    async def _partitions(self, topic: str, timeout: float) -> int:
        known = self._observer.partitions(topic)
        return await self._look(topic, timeout) if known is None else known

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


def _raise_if_refused(part: Sent, error: BaseException) -> None:
    largest = max((placed.message for placed in part.messages), key=size_of)
    if isinstance(error, TOO_LARGE):
        raise MessageTooLarge(largest.topic, size_of(largest), limit_of(largest.topic)) from error
    if isinstance(error, REFUSED):
        raise PermanentError(f"{largest.topic} refuses records: {type(error).__name__}") from error


def _unheard(sent: Sequence[Sent]) -> None:
    """Nobody waits for these any more."""
    for part in sent:
        part.acknowledged.add_done_callback(heard)
