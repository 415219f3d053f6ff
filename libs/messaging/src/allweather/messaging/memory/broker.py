"""A broker for tests: the promises of the real one, in one process and without its delays."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from copy import copy
from types import TracebackType
from typing import Self

from allweather.messaging.errors import BrokerAway, PublishTimeout
from allweather.messaging.memory.groups import Group, MemoryMembership
from allweather.messaging.memory.log import MemoryLog
from allweather.messaging.memory.rest import Rest
from allweather.messaging.ports import Committed, GroupState, Publisher, Rebalances, Subscription
from allweather.messaging.types import Message, Record, TopicPartition

_PUBLISH_TIMEOUT = 30.0


class MemoryBroker:
    """Topics, groups with rebalances and places, redelivery of what was not committed.

    `MemoryBroker({"ai.internal.cleared.v1": 4})` has the topics that it is given; like the real one it makes none up.
    `away` is a switch: nothing is acknowledged, delivered or committed while it is on. Members leave when they close:
    it keeps no partitions for a static member that restarts.
    """

    def __init__(self, topics: Mapping[str, int] | None = None, *, client_id: str = "memory") -> None:
        self._log = MemoryLog(topics or {})
        self._client_id = client_id
        self._groups: dict[str, Group] = {}
        self.stuck: set[str] = set()
        """Topics that acknowledge nothing, as when a partition has no leader."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held."""

    # What only the memory has

    def create(self, topic: str, partitions: int = 4) -> None:
        """Add a topic."""
        self._log.create(topic, partitions)

    def named(self, client_id: str) -> Self:
        """The same broker, as a client of another name sees it."""
        other = copy(self)
        other._client_id = client_id
        return other

    def records(self, topic: str) -> list[Record]:
        """Everything published to the topic, in the order of arrival."""
        return self._log.all(topic)

    @property
    def away(self) -> bool:
        """Whether the broker is out of reach."""
        return self._log.away

    @away.setter
    def away(self, value: bool) -> None:
        self._log.away = value
        self._log.wake()

    def evict(self, group: str) -> None:
        """End the session of every member without its knowledge; each finds out at its next call."""
        self._group(group).evict()

    def paused(self, group: str) -> set[TopicPartition]:
        """The partitions that the group's members hold back."""
        return self._group(group).paused()

    # What every broker has

    @property
    def publisher(self) -> Publisher:
        return self

    async def publish(self, messages: Sequence[Message], *, timeout: float | None = None) -> None:
        await asyncio.sleep(0)
        limit = _PUBLISH_TIMEOUT if timeout is None else timeout
        try:
            async with asyncio.timeout(limit):
                while self._log.away or any(message.topic in self.stuck for message in messages):
                    await self._log.growth(limit)
        except TimeoutError:
            raise PublishTimeout(f"not acknowledged within {limit} s") from None
        self._log.append(messages)

    async def join(
        self, *, group: str, instance: str | None, subscription: Subscription, rebalances: Rebalances
    ) -> MemoryMembership:
        return await self._group(group).join(instance, self._client_id, subscription, rebalances)

    async def reader(self) -> "MemoryReader":
        return MemoryReader(self._log)

    def partitions(self, topic: str) -> int | None:
        return self._log.partitions(topic)

    async def reachable(self) -> bool:
        return not self._log.away

    async def beginning_offsets(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        self._check()
        return {at: 0 for at in partitions if self._log.end(at) >= 0}

    async def end_offsets(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        self._check()
        return {at: self._log.end(at) for at in partitions}

    async def describe_group(self, group: str) -> GroupState:
        self._check()
        return self._group(group).state()

    async def committed(self, group: str) -> Mapping[TopicPartition, Committed]:
        self._check()
        return dict(self._group(group).places)

    async def lag(self, group: str) -> Mapping[TopicPartition, int]:
        places = await self.committed(group)
        return {at: self._log.end(at) - place.offset for at, place in places.items()}

    async def read_all(self, topics: Sequence[str]) -> AsyncIterator[Record]:
        for topic in topics:
            for record in self._log.all(topic):
                yield record

    def _group(self, name: str) -> Group:
        return self._groups.setdefault(name, Group(name, self._log))

    def _check(self) -> None:
        if self._log.away:
            raise BrokerAway("the broker is away")


class MemoryReader:
    """Reads partitions in memory without a group."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self._positions: dict[TopicPartition, int] = {}
        self._rest = Rest()

    async def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        self._positions = {at: self._positions.get(at, offset) for at, offset in positions.items()}
        self._log.wake()

    async def poll(self, *, timeout: float, max_records: int) -> Sequence[Record]:
        await self._rest.over()
        records = self._next(max_records)
        if not records:
            await self._log.growth(timeout)
            records = self._next(max_records)
        return records

    def rest(self, seconds: float) -> None:
        self._rest.begin(seconds)

    async def close(self) -> None:
        self._positions.clear()

    def _next(self, limit: int) -> list[Record]:
        records: list[Record] = []
        for at in () if self._log.away else tuple(self._positions):
            read = self._log.read(at, self._positions[at], limit - len(records))
            self._positions[at] += len(read)
            records.extend(read)
        return records
