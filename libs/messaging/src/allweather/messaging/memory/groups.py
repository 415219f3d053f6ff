"""Consumer groups in memory, with eager rebalances as aiokafka has them."""

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from itertools import count

from allweather.messaging.errors import Fenced, TransientError
from allweather.messaging.memory.log import MemoryLog
from allweather.messaging.memory.rest import Rest
from allweather.messaging.ports import (
    CommitRefused,
    Committed,
    GroupMember,
    GroupState,
    MembershipLost,
    Rebalances,
    Subscription,
)
from allweather.messaging.types import Record, TopicPartition


class Group:
    """Who is in, and how far they are."""

    def __init__(self, name: str, log: MemoryLog) -> None:
        self.name, self.log = name, log
        self.places: dict[TopicPartition, Committed] = {}
        self.members: list[MemoryMembership] = []
        self._numbers = count()
        self._one_at_a_time = asyncio.Lock()
        self._topics = log.topics

    async def join(
        self, instance: str | None, client_id: str, subscription: Subscription, rebalances: Rebalances
    ) -> "MemoryMembership":
        known = GroupMember(f"{instance or client_id}-{next(self._numbers)}", instance, client_id, "/memory")
        member = MemoryMembership(self, known, subscription, rebalances)
        try:
            await asyncio.shield(self._enter(member))
        except BaseException:
            await self.leave(member)  # nobody would poll for it
            raise
        return member

    async def leave(self, member: "MemoryMembership") -> None:
        await asyncio.shield(self._remove(member))

    def evict(self) -> None:
        """Every member's session ends without its knowledge, as when its machine is paused for too long."""
        for member in self.members:
            member.lost = True
        self.members = []
        self.log.wake()

    async def look_for_topics(self) -> None:
        """Rebalance when there are new topics, which a member's pattern may name."""
        if self._topics != self.log.topics:
            self._topics = self.log.topics
            await asyncio.shield(self._again())

    def paused(self) -> set[TopicPartition]:
        return set[TopicPartition]().union(*(member.paused for member in self.members))

    def state(self) -> GroupState:
        members = tuple(member.known for member in self.members)
        return GroupState("Stable" if members else "Empty" if self.places else "Dead", members)

    # A rebalance once begun is ended, even when the member that asked for it is gone: it is the others' as well.

    async def _enter(self, member: "MemoryMembership") -> None:
        async with self._one_at_a_time:
            self._fence(member.known.instance_id)
            await self._rebalance([*self.members, member])

    async def _again(self) -> None:
        async with self._one_at_a_time:
            await self._rebalance(self.members)

    async def _remove(self, member: "MemoryMembership") -> None:
        async with self._one_at_a_time:
            if member in self.members:
                await self._rebalance([each for each in self.members if each is not member])

    def _fence(self, instance: str | None) -> None:
        for member in self.members:
            member.fenced = instance is not None and member.known.instance_id == instance
        self.members = [member for member in self.members if not member.fenced]

    async def _rebalance(self, members: "list[MemoryMembership]") -> None:
        await asyncio.gather(*(member.revoke() for member in self.members))
        self.members = members
        shares = self._shares(members)
        await asyncio.gather(*(member.assign(share) for member, share in zip(members, shares, strict=True)))

    def _shares(self, members: "Sequence[MemoryMembership]") -> Sequence[list[TopicPartition]]:
        """Every partition goes to the member with the fewest of those that read its topic."""
        shares: list[list[TopicPartition]] = [[] for _ in members]
        for topic in self.log.topics:
            readers = [share for member, share in zip(members, shares, strict=True) if member.reads(topic)]
            for partition in range(self.log.partitions(topic) or 0) if readers else ():
                min(readers, key=len).append(TopicPartition(topic, partition))
        return shares


class MemoryMembership:
    """A member of a group in memory."""

    def __init__(self, group: Group, known: GroupMember, subscription: Subscription, rebalances: Rebalances) -> None:
        self._group, self.known = group, known
        self._subscription, self._rebalances = subscription, rebalances
        self._positions: dict[TopicPartition, int] = {}
        self.paused: set[TopicPartition] = set()
        self._delivers = False
        self._rest = Rest()
        self.fenced = False
        self.lost = False

    def reads(self, topic: str) -> bool:
        pattern = self._subscription.pattern
        return topic in self._subscription.topics or (pattern is not None and re.match(pattern, topic) is not None)

    async def poll(self, *, timeout: float, max_records: int) -> Sequence[Record]:
        await self._group.look_for_topics()
        await self._rest.over()
        records = self._next(max_records)
        if not records:
            await self._group.log.growth(timeout)
            records = self._next(max_records)
        return records

    def rest(self, seconds: float) -> None:
        self._rest.begin(seconds)

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        self.paused.update(partitions)

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        self.paused.difference_update(partitions)
        self._group.log.wake()

    async def commit(self, offsets: Mapping[TopicPartition, Committed]) -> None:
        self._check()
        if any(at not in self._positions for at in offsets):
            raise CommitRefused("the group has rebalanced")
        if self._group.log.away:
            raise MembershipLost("the broker is away")
        self._group.places.update(offsets)

    async def close(self) -> None:
        await self._group.leave(self)

    async def revoke(self) -> None:
        self._delivers = False
        await self._rebalances.revoked()
        self._positions.clear()
        self.paused.clear()

    async def assign(self, partitions: Sequence[TopicPartition]) -> None:
        places = {at: self._group.places[at] for at in partitions if at in self._group.places}
        starts = await self._starts(partitions, places)
        for at in partitions:
            self._positions[at] = starts.get(at, places[at].offset if at in places else 0)
        self._delivers = True
        self._group.log.wake()

    async def _starts(
        self, partitions: Sequence[TopicPartition], places: Mapping[TopicPartition, Committed]
    ) -> Mapping[TopicPartition, int]:
        while True:
            try:
                return await self._rebalances.assigned(partitions, places)
            except TransientError:
                await asyncio.sleep(0.01)

    def _next(self, limit: int) -> list[Record]:
        self._check()
        records: list[Record] = []
        for at in tuple(self._positions) if self._delivers and not self._group.log.away else ():
            if at not in self.paused and len(records) < limit:
                read = self._group.log.read(at, self._positions[at], limit - len(records))
                self._positions[at] += len(read)
                records.extend(read)
        return records

    def _check(self) -> None:
        if self.fenced:
            raise Fenced(f"{self.known.instance_id} of group {self._group.name} was taken over")
        if self.lost:
            raise MembershipLost(f"{self.known.member_id} was put out of group {self._group.name}")
