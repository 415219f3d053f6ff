"""Topics in memory: partitions that only grow."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from allweather.messaging.errors import UnknownTopic
from allweather.messaging.lanes import check_size
from allweather.messaging.partitioning import partition_of
from allweather.messaging.types import Message, Record, TopicPartition


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class MemoryLog:
    """What was published, and a signal for those who wait for more."""

    def __init__(self, topics: Mapping[str, int], clock_ms: Callable[[], int] = _now_ms) -> None:
        self._partitions: dict[TopicPartition, list[Record]] = {}
        self._counts: dict[str, int] = {}
        self._clock_ms = clock_ms
        self._grown = asyncio.Event()
        self._keyless = 0
        self.away = False
        for topic, partitions in topics.items():
            self.create(topic, partitions)

    def create(self, topic: str, partitions: int) -> None:
        self._counts[topic] = partitions
        for partition in range(partitions):
            self._partitions.setdefault(TopicPartition(topic, partition), [])
        self.wake()

    @property
    def topics(self) -> Sequence[str]:
        return tuple(self._counts)

    def partitions(self, topic: str) -> int | None:
        return self._counts.get(topic)

    def append(self, messages: Sequence[Message]) -> None:
        """Append all messages, or none of them when one cannot be."""
        places = [(message, self._place(message)) for message in messages]
        for message, at in places:
            records = self._partitions[at]
            records.append(
                Record(*at, len(records), self._clock_ms(), message.key, message.value, tuple(message.headers))
            )
        self.wake()

    def read(self, at: TopicPartition, offset: int, limit: int) -> Sequence[Record]:
        return self._partitions[at][offset : offset + limit]

    def end(self, at: TopicPartition) -> int:
        if at not in self._partitions:
            raise UnknownTopic(*at)
        return len(self._partitions[at])

    def all(self, topic: str) -> list[Record]:
        """Every record of the topic in the order of time, which on one clock is the order of arrival."""
        count = self._counts.get(topic)
        if count is None:
            raise UnknownTopic(topic)
        records = (record for n in range(count) for record in self._partitions[TopicPartition(topic, n)])
        return sorted(records, key=lambda record: record.timestamp_ms)

    async def growth(self, timeout: float) -> None:
        """Return when something was published, or after `timeout`."""
        grown = self._grown
        try:
            async with asyncio.timeout(timeout):
                await grown.wait()
        except TimeoutError:
            return

    def _place(self, message: Message) -> TopicPartition:
        check_size(message)
        count = self._counts.get(message.topic)
        if count is None:
            raise UnknownTopic(message.topic)
        if message.partition is not None and not 0 <= message.partition < count:
            raise UnknownTopic(message.topic, message.partition)
        return TopicPartition(message.topic, self._choose(message, count))

    def _choose(self, message: Message, count: int) -> int:
        if message.partition is not None:
            return message.partition
        if message.key is None:
            self._keyless += 1
            return self._keyless % count
        return partition_of(message.key, count)

    def wake(self) -> None:
        """Let everybody who waits look again."""
        grown, self._grown = self._grown, asyncio.Event()
        grown.set()
