"""The seams: what a service needs of a broker, and what the consumers need of it.

`KafkaBroker` and `MemoryBroker` both stand behind these, and both pass the suite in `testing.py`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from allweather.messaging.errors import MessagingError
from allweather.messaging.types import Message, Record, TopicPartition


class Publisher(Protocol):
    async def publish(self, messages: Sequence[Message], *, timeout: float | None = None) -> None:
        """Return when every message is acknowledged by all in-sync replicas.

        Messages of one call keep their order within a partition. Size and existence are checked first, so
        `MessageTooLarge` and `UnknownTopic` mean that nothing of the call was sent. `PublishTimeout` means that the
        outcome of at least one message is unknown; a cancelled call means the same.
        """
        ...


class Committed(NamedTuple):
    """A group's place in a partition: the next offset to read, and a note of up to 4,096 bytes beside it."""

    offset: int
    metadata: str = ""


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a member reads: named topics, or every topic whose name matches a pattern (new ones within seconds)."""

    topics: tuple[str, ...] = ()
    pattern: str | None = None
    gather: float = 0.0
    """So many seconds the brokers may keep records back, until they have many."""

    def __post_init__(self) -> None:
        if bool(self.topics) == (self.pattern is not None):
            raise ValueError("a subscription is either topics or a pattern")


class Rebalances(Protocol):
    """What a consumer does when its partitions change."""

    async def revoked(self) -> None:
        """All partitions are about to go. Commits are still possible until this returns. Must not raise."""
        ...

    async def assigned(
        self, partitions: Collection[TopicPartition], committed: Mapping[TopicPartition, Committed]
    ) -> Mapping[TopicPartition, int]:
        """These are our partitions now, with the group's place in those that have one.

        No record of them is delivered before this returns. The result says where to read from; partitions not in it
        start at the group's place, else at the earliest record. Called again after a `TransientError`.
        """
        ...


class Membership(Protocol):
    """One stay of one member in a group. It ends by `close`, or by `MembershipLost` out of any call: join again."""

    async def poll(self, *, timeout: float, max_records: int) -> Sequence[Record]:
        """The next records of the assigned partitions that are not paused, each partition in order; maybe none."""
        ...

    def rest(self, seconds: float) -> None:
        """Ask the brokers for nothing for so long from now, so that records gather there; what is here is polled."""
        ...

    def pause(self, partitions: Collection[TopicPartition]) -> None: ...

    def resume(self, partitions: Collection[TopicPartition]) -> None: ...

    async def commit(self, offsets: Mapping[TopicPartition, Committed]) -> None:
        """Store the group's place. Raises `CommitRefused` when the partitions have gone to another member meanwhile."""
        ...

    async def close(self) -> None:
        """Leave. A static member keeps its partitions until the session timeout, for its own restart."""
        ...


class MembershipLost(MessagingError):
    """This stay in the group is over and nothing is known to be wrong with the process: join again."""


class CommitRefused(MessagingError):
    """The group has rebalanced: the partitions, and with them the duty to commit, have another owner. Drop it."""


class Reader(Protocol):
    """Reads partitions without a group."""

    async def poll(self, *, timeout: float, max_records: int) -> Sequence[Record]: ...

    def rest(self, seconds: float) -> None:
        """As a `Membership` does."""
        ...

    async def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read exactly these partitions from these offsets; a partition already assigned keeps its own position."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class GroupMember:
    member_id: str
    instance_id: str | None
    client_id: str
    host: str


@dataclass(frozen=True, slots=True)
class GroupState:
    """What Kafka itself says of a group. A group nobody ever joined is `Dead` without members."""

    state: str
    members: tuple[GroupMember, ...] = ()


class Broker(Protocol):
    @property
    def publisher(self) -> Publisher: ...

    async def join(
        self,
        *,
        group: str,
        instance: str | None,
        subscription: Subscription,
        rebalances: Rebalances,
    ) -> Membership:
        """Join the group. Raises `MembershipLost` when that is not possible now, `UnknownTopic` when never."""
        ...

    async def reader(self) -> Reader: ...

    def partitions(self, topic: str) -> int | None:
        """How many partitions the topic has, None when there is no such topic: from memory, never waiting."""
        ...

    async def reachable(self) -> bool:
        """Whether the cluster answers at all, within a few seconds."""
        ...

    async def beginning_offsets(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]: ...

    async def end_offsets(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]: ...

    async def describe_group(self, group: str) -> GroupState: ...

    async def committed(self, group: str) -> Mapping[TopicPartition, Committed]:
        """The group's place in every partition where it has one."""
        ...

    async def lag(self, group: str) -> Mapping[TopicPartition, int]:
        """How many records the group has yet to finish, in every partition where it has a place."""
        ...

    def read_all(self, topics: Sequence[str]) -> AsyncIterator[Record]:
        """Every record of the topics from the earliest to the ends as they are now; each partition in order."""
        ...


StartOffsets = Callable[[Collection[TopicPartition]], Awaitable[Mapping[TopicPartition, int]]]
