"""Topics as the broker keeps them: partitions that only grow, and who wants to know that they did."""

from collections.abc import Callable, Mapping
from uuid import UUID

from allweather.messaging import Message, Record, TopicPartition, UnknownTopic
from allweather.messaging.partitioning import partition_of

Appended = Callable[[Record, str], None]
"""Told of each new record, and of who had sent it."""


class Topics:
    """Every record that was ever appended, in its order."""

    def __init__(self, counts: Mapping[str, int], now_ms: Callable[[], int]) -> None:
        self.counts = dict(counts)
        self.records: dict[TopicPartition, list[Record]] = {
            TopicPartition(topic, partition): [] for topic, count in counts.items() for partition in range(count)
        }
        self._now_ms = now_ms
        self.watchers: list[Appended] = []
        self.requested: set[UUID] = set()
        """Every request that was submitted, by either door."""

    def place(self, message: Message) -> TopicPartition:
        """The partition of a message. Raises `UnknownTopic`."""
        count = self.counts.get(message.topic)
        if count is None or (message.partition or 0) >= count:
            raise UnknownTopic(message.topic, message.partition)
        if message.partition is not None:
            return TopicPartition(message.topic, message.partition)
        return TopicPartition(message.topic, partition_of(message.key, count) if message.key else 0)

    def append(self, message: Message, sender: str) -> Record:
        at = self.place(message)
        records = self.records[at]
        record = Record(*at, len(records), self._now_ms(), message.key, message.value, tuple(message.headers))
        records.append(record)
        if record.topic.startswith("ai.public.requests.") and not record.topic.endswith(".dlq"):
            self.requested.add(UUID((record.key or b"").decode()))
        for watch in self.watchers:
            watch(record, sender)
        return record

    def of(self, topic: str) -> list[Record]:
        """Every record of the topic, partition by partition."""
        return [r for partition in range(self.counts[topic]) for r in self.records[TopicPartition(topic, partition)]]

    def end(self, at: TopicPartition) -> int:
        return len(self.records[at])
