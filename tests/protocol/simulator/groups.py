"""Consumer groups as Kafka's coordinator runs them: sessions, eager rebalances, static members, refused commits.

A member that the coordinator has given up (its process stood still, or its heartbeats were lost) is a zombie until it
finds out: it is handed records of partitions that others own by now, and works on them.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from simulator.loop import Process, State
from simulator.net import KERNEL, Net, Server
from simulator.topics import Topics

from allweather.messaging.kafka.settings import COMMIT_TIMEOUT, JOIN_TIMEOUT
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
from allweather.messaging.tasks import cancel
from allweather.messaging.types import Record, TopicPartition

SESSION_S = 15.0
HEARTBEAT_S = 3.0

Committing = Callable[[str, TopicPartition, Committed], None]
"""Told of each place that a group stores: group, partition, place."""


class Group:
    """Who is in, and how far they are."""

    def __init__(self, name: str, topics: Topics, net: Net, broker: Server, committing: Committing) -> None:
        self.name, self.topics = name, topics
        self.net, self.broker, self.committing = net, broker, committing
        self.places: dict[TopicPartition, Committed] = {}
        self.members: list[SimMembership] = []
        self.generation = 0
        self._numbers = 0
        self._changed = self._rebalancing = False

    async def join(
        self, process: Process, instance: str | None, client_id: str, subscription: Subscription, own: Rebalances
    ) -> "SimMembership":
        """A member with its first assignment."""
        self._numbers += 1
        known = GroupMember(f"{client_id}-{self._numbers}", instance, client_id, "/simulated")
        member = SimMembership(self, process, known, subscription, own)
        try:
            await within(JOIN_TIMEOUT, self._joined(member))
        except BaseException:
            await member.close()
            raise
        return member

    async def _joined(self, member: "SimMembership") -> None:
        await self.net.call(self.broker, lambda: self._admit(member))
        await member.joined

    def leave(self, member: "SimMembership") -> None:
        """A dynamic member goes at once; a static one keeps its partitions, for its own restart, for a session."""
        if member not in self.members:
            return
        if member.known.instance_id is None:
            self.put_out(member)
        else:
            self.net.later(SESSION_S, self._end_session, member)

    def lost_sight_of(self, process: Process) -> None:
        """The process sends no heartbeats any more, for now."""
        for member in [m for m in self.members if m.process is process]:
            self.net.later(SESSION_S, self._end_session, member)

    def put_out(self, member: "SimMembership") -> None:
        """End the session of a member, without its knowledge."""
        if member in self.members:
            self.members.remove(member)
            member.is_put_out()
            self._change()

    def state(self) -> GroupState:
        members = tuple(member.known for member in self.members)
        return GroupState("Stable" if members else "Empty", members)

    def reads(self, at: TopicPartition) -> None:
        """Wake whoever waits for records of this partition."""
        for member in self.members:
            if at in member.positions:
                member.wake()

    def _admit(self, member: "SimMembership") -> None:
        if member.closed or member.process.state is not State.RUNNING:  # it has gone since it asked
            self.net.later(SESSION_S, self._end_session, member)
        twin = self._twin(member.known.instance_id)
        if twin is None:
            self.members.append(member)
            self._change()
            return
        self.members[self.members.index(twin)] = member
        twin.is_put_out()
        if self._rebalancing:
            self._changed = True
        else:  # a static member is back: it takes its partitions without a rebalance
            self.net.seen["static member back"] += 1
            member.assign(twin.share)

    def _twin(self, instance: str | None) -> "SimMembership | None":
        return next((m for m in self.members if instance is not None and m.known.instance_id == instance), None)

    def _end_session(self, member: "SimMembership") -> None:
        if member.closed or not member.in_touch:
            self.net.seen["session ended"] += member in self.members
            self.put_out(member)

    def _change(self) -> None:
        self._changed = True
        if not self._rebalancing:
            self._rebalancing = True
            self.net.loop.create_task(self._rebalance(), context=KERNEL.copy())

    async def _rebalance(self) -> None:
        while self._changed:
            self._changed = False
            self.net.note("rebalance", self.name, *(m.known.member_id for m in self.members))
            await asyncio.sleep(self.net.chance.between(0.001, 0.05))
            for gives_up in [member.revoke() for member in self.members]:
                await gives_up  # or is put out when its session ends
            self.generation += 1
            for member, share in zip(self.members, self._shares(), strict=True):
                member.assign(share)
        self._rebalancing = False

    def _shares(self) -> list[list[TopicPartition]]:
        """Every partition that the group reads goes to the member with the fewest."""
        shares: list[list[TopicPartition]] = [[] for _ in self.members]
        for topic in filter(self.members[0].subscribes, self.topics.counts) if self.members else ():
            for partition in range(self.topics.counts[topic]):
                min(shares, key=len).append(TopicPartition(topic, partition))
        return shares


class SimMembership:
    """One stay of one process in a group."""

    def __init__(
        self, group: Group, process: Process, known: GroupMember, subscription: Subscription, own: Rebalances
    ) -> None:
        self.group, self._net = group, group.net
        self.process, self.known = process, known
        self._subscription, self._own = subscription, own
        self.share: list[TopicPartition] = []
        self.positions: dict[TopicPartition, int] = {}
        self.generation = 0
        self.joined: asyncio.Future[None] = self._net.loop.create_future()
        self.closed = False
        self._lost = False
        self._paused: set[TopicPartition] = set()
        self._waiting: asyncio.Future[None] | None = None
        self._rest = Rest()
        self._gave_up: asyncio.Future[None] | None = None
        self._preparing: asyncio.Task[None] | None = None
        self._revoking: asyncio.Task[None] | None = None
        self._assignment = 0

    @property
    def in_touch(self) -> bool:
        """Whether its heartbeats arrive."""
        return self.process.state is State.RUNNING and self.group.broker.in_reach_of(self.process)

    def subscribes(self, topic: str) -> bool:
        pattern = self._subscription.pattern
        return topic in self._subscription.topics or (pattern is not None and re.match(pattern, topic) is not None)

    async def poll(self, *, timeout: float, max_records: int) -> Sequence[Record]:
        await self._rest.over()
        while True:
            if self._lost:
                raise MembershipLost(f"{self.known.member_id} was put out of group {self.group.name}")
            if self.group.broker.in_reach_of(self.process) and self._any():
                assignment, records = await self._net.call(
                    self.group.broker, lambda: (self._assignment, self._read(max_records))
                )
                return records if assignment == self._assignment else ()
            self._waiting = self._net.loop.create_future()
            await self._waiting

    def rest(self, seconds: float) -> None:
        self._rest.begin(seconds)

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        self._paused.update(partitions)

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        self._paused.difference_update(partitions)
        self.wake()

    async def commit(self, offsets: Mapping[TopicPartition, Committed]) -> None:
        """Only the group's present members, of its present generation, may commit."""
        if any(at not in self.share for at in offsets):
            raise CommitRefused("not assigned")
        generation = self.generation

        def store() -> None:
            if self not in self.group.members or self.group.generation != generation:
                self._net.note("commit refused", self.group.name)
                raise CommitRefused("the group has rebalanced")
            for at, place in offsets.items():
                self._net.say("commit", self.group.name, *at, place.offset)
                self.group.committing(self.group.name, at, place)
            self.group.places.update(offsets)

        await within(COMMIT_TIMEOUT, self._net.call(self.group.broker, store))

    async def close(self) -> None:
        self.closed = True
        await self._stop_preparing()
        if self._revoking is not None:  # the client waits for it, and cancels it when that takes too long
            await cancel(self._revoking)
        self.group.leave(self)

    def wake(self) -> None:
        """There may be something to read."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def revoke(self) -> "asyncio.Future[None]":
        """Ask for the partitions back; done when they are given up, or the member is put out."""
        self._gave_up = self._net.loop.create_future()
        self._hears(self._gave_up)
        return self._gave_up

    def assign(self, share: Sequence[TopicPartition]) -> None:
        self._net.say("assign", self.known.member_id, len(share), self.closed)
        self.share, self.generation = list(share), self.group.generation
        if not self.closed:
            self._preparing = self.process.spawn(self._assigned(self.share))

    def is_put_out(self) -> None:
        """The coordinator has forgotten this member, which finds out at some later heartbeat."""
        if self._gave_up is not None and not self._gave_up.done():
            self._gave_up.set_result(None)
        if not self.closed:
            self._net.later(self._net.chance.between(0.05, HEARTBEAT_S), self._finds_out)

    def _hears(self, gave_up: "asyncio.Future[None]") -> None:
        """It is told with its next heartbeat, if that arrives before its session ends."""
        if self.closed or gave_up.done():
            return
        if self.process.name in self.group.broker.cut_off:
            self._net.later(HEARTBEAT_S, self._hears, gave_up)
        else:
            self._revoking = self.process.spawn(self._revoked(gave_up))

    def _finds_out(self) -> None:
        if self.in_touch:
            self._lost = True
            self.wake()
            if not self.joined.done():
                self.joined.set_exception(MembershipLost("put out before the first assignment"))
                self.joined.exception()  # its process may be dead: then nobody has failed to ask
        elif self.process.state is not State.DEAD:
            self._net.later(HEARTBEAT_S, self._finds_out)

    def _any(self) -> bool:
        end = self.group.topics.end
        return any(at not in self._paused and position < end(at) for at, position in self.positions.items())

    def _read(self, limit: int) -> list[Record]:
        """Some of what is there: a batch may end anywhere."""
        found: list[Record] = []
        chance = self._net.chance
        for at in chance.shuffled(list(self.positions)):
            records = self.group.topics.records[at]
            position = self.positions[at]
            if at in self._paused or position >= len(records) or len(found) >= limit:
                continue
            most = len(records) - position
            taken = most if chance.happens(0.8) else 1 + chance.number(most)
            found += records[position : position + taken]
            self.positions[at] = position + taken
        return found

    async def _revoked(self, gave_up: "asyncio.Future[None]") -> None:
        self._assignment += 1
        self.positions.clear()  # between two assignments nothing is delivered
        self._paused.clear()
        await self._stop_preparing()
        if self.joined.done():
            await self._own.revoked()
        if not gave_up.done():
            gave_up.set_result(None)

    async def _assigned(self, share: Sequence[TopicPartition]) -> None:
        places: dict[TopicPartition, Committed] = await self._patiently(
            lambda: {at: self.group.places[at] for at in share if at in self.group.places}
        )
        starts = await self._own.assigned(share, places)
        self.positions = {at: starts.get(at, places[at].offset if at in places else 0) for at in share}
        if not self.joined.done():
            self.joined.set_result(None)
        self.wake()

    async def _stop_preparing(self) -> None:
        if self._preparing is not None:
            await cancel(self._preparing)

    async def _patiently(self, effect: Callable[[], Any]) -> Any:
        while True:
            try:
                return await self._net.call(self.group.broker, effect)
            except MembershipLost:
                await asyncio.sleep(0.2)


async def within(seconds: float, work: Awaitable[None]) -> None:
    """As `messaging.kafka.membership`: what takes too long ends the stay."""
    try:
        async with asyncio.timeout(seconds):
            await work
    except TimeoutError:
        raise MembershipLost("it took too long") from None
