"""What is done with records, apart from how one comes by them; and how fast."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from allweather.failpoints import Point
from allweather.messaging.ports import Committed
from allweather.messaging.types import TopicPartition

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Linger:
    """How long to wait after a batch before the next one is fetched, or sent, so that it holds several; in seconds.

    So long for each record of the batch, up to a limit: where they come faster than one in that time, waits grow to the
    longest. Nobody waits whose record comes by itself.
    """

    each: float = 0.004
    longest: float = 0.004

    def after(self, records: int) -> float:
        """How long to wait after a batch of so many."""
        return min(records * self.each, self.longest)


@dataclass(frozen=True, slots=True)
class Pace:
    """How much at once, and how long to wait for what; in seconds."""

    max_records: int = 500
    max_bytes: int = 4 * _MIB
    linger: Linger = Linger()
    gather: float = 0.0
    """How long the brokers may keep records back, so that one fetch brings many; for work that nobody waits for."""
    commit_interval: float = 0.5
    revoke_grace: float = 5.0
    """How long a rebalance waits for the work in hand; the group's other members wait with it."""
    stop_grace: float = 10.0
    call_limit: float = 60.0
    """How long one handler of `ConcurrentConsumer` may take before it stops counting as progress."""
    stall_after: float = 60.0
    rejoin_after: float = 0.5


IN_BATCHES: Final = Pace(linger=Linger(longest=0.008))
"""For work that is done for a whole batch at once, and so costs less for each record the larger it is."""


@dataclass(frozen=True, slots=True)
class Points:
    """Which failpoints of the service lie in its consumer."""

    before_publish: Point | None = None
    before_ack: Point | None = None
    after_publish: Point | None = None


class Work(Protocol):
    """Takes records from an intake and gets them done: one batch after another, or many at a time."""

    moved: asyncio.Event
    """Set when `places` has changed."""

    async def run(self) -> None:
        """Work until cancelled, or until something fails that no middleware has dealt with."""
        ...

    async def revoked(self) -> None:
        """The partitions are about to go: finish or give up what is in hand, within the grace."""
        ...

    def left(self) -> None:
        """The partitions have gone; nothing of them may be committed from here any more."""
        ...

    def assigned(
        self, partitions: Collection[TopicPartition], committed: Mapping[TopicPartition, Committed]
    ) -> None: ...

    def places(self) -> Mapping[TopicPartition, Committed]:
        """What may be committed now."""
        ...

    def stored(self, places: Mapping[TopicPartition, Committed]) -> None:
        """These places are committed."""
        ...

    async def finish(self) -> None:
        """Begin nothing more, and return when what is in hand is done."""
        ...

    async def close(self) -> None:
        """Give up what is still in hand."""
        ...

    @property
    def busy(self) -> bool:
        """Whether anything is in hand."""
        ...

    @property
    def on_time(self) -> bool:
        """Whether something in hand is still inside its own time limit, and so counts as progress."""
        ...
