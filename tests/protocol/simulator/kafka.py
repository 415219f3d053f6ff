"""The broker as a process sees it: at-least-once publishing, groups, and what it does not promise.

A publish that was not acknowledged may have been written, may be written much later, in part or not at all. Whoever
publishes it again, as `messaging.delivery` does, writes it twice.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

from simulator.groups import Committing, Group, SimMembership
from simulator.loop import Process
from simulator.net import FAULTS, Net, Server, alive
from simulator.topics import Topics

from allweather.messaging import BrokerAway, Message, PublishTimeout, Record, TopicPartition
from allweather.messaging.kafka.settings import PUBLISH_TIMEOUT
from allweather.messaging.lanes import check_size
from allweather.messaging.memory.rest import Rest
from allweather.messaging.ports import (
    Committed,
    GroupState,
    MembershipLost,
    Publisher,
    Reader,
    Rebalances,
    Subscription,
)

T = TypeVar("T")
AWAY_LOOK_S = 1.0


class Kafka:
    """The cluster: what outlives every process."""

    def __init__(self, topics: Topics, net: Net, committing: Committing) -> None:
        self.topics, self.net = topics, net
        self.server = Server("kafka", lambda: MembershipLost("it broke"), faults=(*FAULTS, "cut before the effect"))
        self.groups: dict[str, Group] = {}
        self.readers: list[SimReader] = []
        self._committing = committing
        topics.watchers.append(self._appended)

    def group(self, name: str) -> Group:
        if name not in self.groups:
            self.groups[name] = Group(name, self.topics, self.net, self.server, self._committing)
        return self.groups[name]

    def lost_sight_of(self, process: Process) -> None:
        for group in self.groups.values():
            group.lost_sight_of(process)

    def go_away(self) -> None:
        self.server.away = self.server.troubled = True

    def come_back(self) -> None:
        self.server.away = False
        self.wake()

    def wake(self) -> None:
        """Somebody can reach the cluster again."""
        for group in self.groups.values():
            for member in group.members:
                member.wake()
        for reader in self.readers:
            reader.wake()

    def drained(self, name: str, read: Sequence[str]) -> bool:
        """Whether the group has committed everything that is on these topics."""
        places = self.group(name).places
        ends = ((at, len(records)) for at, records in self.topics.records.items() if at.topic in read)
        return all(end == (places[at].offset if at in places else 0) for at, end in ends)

    def _appended(self, record: Record, _sender: str) -> None:
        for group in self.groups.values():
            group.reads(record.position)
        for reader in self.readers:
            reader.reads(record.position)


class SimBroker:
    """The cluster, as the client of one process."""

    def __init__(self, kafka: Kafka, process: Process, client_id: str) -> None:
        self._kafka, self._process, self._client_id = kafka, process, client_id
        self._net = kafka.net

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held."""

    @property
    def publisher(self) -> Publisher:
        return self

    async def publish(self, messages: Sequence[Message], *, timeout: float | None = None) -> None:
        """Each partition takes its share at a moment of its own, in order."""
        shares: dict[TopicPartition, list[Message]] = {}
        for message in messages:
            check_size(message)
            shares.setdefault(self._kafka.topics.place(message), []).append(message)
        chance, limit = self._net.chance, PUBLISH_TIMEOUT if timeout is None else timeout
        if len(shares) == 1 or chance.happens(0.8):
            sends = [self._send(list(messages), limit)]
        else:
            sends = [self._send(share, limit) for share in shares.values()]
        if len(sends) == 1:
            await sends[0]
        else:
            await asyncio.gather(*sends)

    async def join(
        self, *, group: str, instance: str | None, subscription: Subscription, rebalances: Rebalances
    ) -> SimMembership:
        return await self._kafka.group(group).join(self._process, instance, self._client_id, subscription, rebalances)

    def partitions(self, topic: str) -> int | None:
        return self._kafka.topics.counts.get(topic)

    async def reachable(self) -> bool:
        await asyncio.sleep(self._net.chance.latency())
        return self._kafka.server.in_reach_of(self._process)

    async def describe_group(self, group: str) -> GroupState:
        return await self._ask(self._kafka.group(group).state)

    async def beginning_offsets(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    async def end_offsets(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        return await self._ask(lambda: {at: self._kafka.topics.end(at) for at in partitions})

    async def committed(self, group: str) -> Mapping[TopicPartition, Committed]:
        return dict(self._kafka.group(group).places)

    async def lag(self, group: str) -> Mapping[TopicPartition, int]:
        places = self._kafka.group(group).places
        return {at: self._kafka.topics.end(at) - place.offset for at, place in places.items()}

    async def reader(self) -> Reader:
        return SimReader(self._kafka, self._process)

    def read_all(self, topics: Sequence[str]) -> AsyncIterator[Record]:
        raise NotImplementedError("evidence is taken from `Topics`")

    async def _ask(self, find: Callable[[], T]) -> T:
        try:
            return await self._net.call(self._kafka.server, find)
        except MembershipLost as error:
            raise BrokerAway("no broker answers") from error

    async def _send(self, messages: Sequence[Message], limit: float) -> None:
        """Returns when they are acknowledged. Raises `PublishTimeout`; what becomes of them then is chance."""
        until = self._net.loop.time() + limit
        batch = _Batch(messages)
        while True:
            try:
                await self._net.call(self._kafka.server, lambda: self._append(batch))
            except MembershipLost:
                if not self._kafka.server.in_reach_of(self._process) and self._net.loop.time() < until:
                    await asyncio.sleep(AWAY_LOOK_S)
                    continue
                self._unknown(batch)
                raise PublishTimeout("not acknowledged in time") from None
            return

    def _append(self, batch: "_Batch") -> None:
        """Idempotent within one publish: a batch that is sent again is not written again."""
        if not batch.written:
            batch.written = True
            for message in batch.messages:
                self._kafka.topics.append(message, self._process.name)

    def _unknown(self, batch: "_Batch") -> None:
        """A batch that was given up may still be under way."""
        self._net.note("publish with unknown outcome")
        if self._net.chance.happens(0.5):
            self._net.slowly(self._net.chance.between(0.1, 40), self._arrive_late, batch)

    def _arrive_late(self, batch: "_Batch") -> None:
        if alive(self._process) and not self._kafka.server.away and not batch.written:
            self._net.note("late arrival", *(message.topic for message in batch.messages))
            self._append(batch)


class SimReader:
    """Reads partitions without a group: nobody gives it partitions, and nobody takes them away."""

    def __init__(self, kafka: Kafka, process: Process) -> None:
        self._kafka, self._process, self._net = kafka, process, kafka.net
        self._positions: dict[TopicPartition, int] = {}
        self._waiting: asyncio.Future[None] | None = None
        self._rest = Rest()

    async def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        self._positions = {at: self._positions.get(at, offset) for at, offset in positions.items()}
        self._kafka.readers.append(self)

    async def poll(self, *, timeout: float, max_records: int) -> Sequence[Record]:
        await self._rest.over()
        while not self._kafka.server.in_reach_of(self._process) or not self._any():
            self._waiting = self._net.loop.create_future()
            await self._waiting
        try:
            return await self._net.call(self._kafka.server, lambda: self._read(max_records))
        except MembershipLost:
            return ()

    def rest(self, seconds: float) -> None:
        self._rest.begin(seconds)

    async def close(self) -> None:
        self._kafka.readers.remove(self)

    def reads(self, at: TopicPartition) -> None:
        """Wake up, if this partition is read here."""
        if at in self._positions:
            self.wake()

    def wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def _any(self) -> bool:
        return any(position < self._kafka.topics.end(at) for at, position in self._positions.items())

    def _read(self, limit: int) -> list[Record]:
        """Of one partition or of several: what comes from two of them comes in any order."""
        found: list[Record] = []
        for at in self._net.chance.shuffled(sorted(self._positions)):
            records = self._kafka.topics.records[at][self._positions[at] :][:limit]
            if found and self._net.chance.happens(0.5):
                break
            found += records
            self._positions[at] += len(records)
        return found


@dataclass(slots=True)
class _Batch:
    messages: Sequence[Message]
    written: bool = False
