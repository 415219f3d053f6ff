"""Between the poll loop, which never waits for work, and the work, which never polls."""

import asyncio
from collections import deque
from collections.abc import Collection
from contextlib import suppress

from allweather.messaging.consumers.work import Linger
from allweather.messaging.ports import Membership
from allweather.messaging.progress import Progress
from allweather.messaging.types import Record, TopicPartition

_POLL_SECONDS = 1.0
_PATIENCE = 5.0
_OVERHEAD = 64  # what a record weighs beside its key and value


class Intake:
    """Keeps what was polled until it is taken, and lets no more in while a full batch waits.

    A short wait is just that. A long one must not look like idleness to the group: then the partitions are paused and
    the polling goes on, for nothing. (Not at once: the client throws away what it has fetched of a paused partition.)
    """

    def __init__(self, progress: Progress, *, max_records: int, max_bytes: int, linger: Linger) -> None:
        self._progress = progress
        self._max_records, self._max_bytes, self._linger = max_records, max_bytes, linger
        self._waiting: deque[Record] = deque()
        self._bytes = 0
        self._arrived, self._room = asyncio.Event(), asyncio.Event()
        self._membership: Membership | None = None
        self._partitions: tuple[TopicPartition, ...] = ()
        self._paused = False

    async def run(self, membership: Membership) -> None:
        """Poll without end, so that the group never takes this member for idle."""
        self._membership = membership
        while True:
            if self._full and not self._paused:
                await self._wait_for_room(membership)
            records = await membership.poll(timeout=_POLL_SECONDS, max_records=self._max_records)
            self._add(records)
            if 0 < len(records) < self._max_records:
                membership.rest(self._linger.after(len(records)))
            else:  # nothing, or more already: a poll that answers at once must not starve the work of its turn
                await asyncio.sleep(0)

    def assigned(self, partitions: Collection[TopicPartition]) -> None:
        self._partitions = tuple(partitions)
        self._paused = False

    def revoked(self) -> None:
        """Forget what waits: its next owner will have it delivered again."""
        self._partitions = ()
        self._waiting.clear()
        self._bytes = 0
        self._arrived.clear()
        self._room.set()

    async def take(self) -> list[Record]:
        """The next batch, at least one record."""
        await self._any()
        batch, size = self._cut()
        self._bytes -= size
        self._left()
        return batch

    async def first(self) -> Record:
        """The next record, left where it is until `pop`; whoever awaits in between must ask again."""
        await self._any()
        return self._waiting[0]

    def pop(self) -> Record:
        record = self._waiting.popleft()
        self._bytes -= weight(record)
        self._left()
        return record

    async def _any(self) -> None:
        while not self._waiting:  # looked at again: between the signal and our turn it may all have been revoked
            await self._arrived.wait()

    def _cut(self) -> tuple[list[Record], int]:
        """As many records as fit into a batch, at least one, and their weight."""
        if len(self._waiting) <= self._max_records and self._bytes <= self._max_bytes:
            batch, size = list(self._waiting), self._bytes
            self._waiting.clear()
            return batch, size
        batch = [self._waiting.popleft()]
        size = weight(batch[0])
        while self._waiting and len(batch) < self._max_records and size + weight(self._waiting[0]) <= self._max_bytes:
            batch.append(self._waiting.popleft())
            size += weight(batch[-1])
        return batch, size

    def _add(self, records: Collection[Record]) -> None:
        if not records:
            return
        self._progress.note()
        self._waiting.extend(records)
        self._bytes += sum(map(weight, records))
        self._arrived.set()

    async def _wait_for_room(self, membership: Membership) -> None:
        self._room.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await self._room.wait()
        if self._full:  # asked, not concluded from the timeout: both can come at the same moment
            membership.pause(self._partitions)
            self._paused = True

    def _left(self) -> None:
        if not self._waiting:
            self._arrived.clear()
        if not self._half_empty:
            return
        self._room.set()
        if self._paused and self._membership:
            self._membership.resume(self._partitions)
            self._paused = False

    @property
    def _full(self) -> bool:
        return len(self._waiting) >= self._max_records or self._bytes >= self._max_bytes

    @property
    def _half_empty(self) -> bool:
        return len(self._waiting) * 2 <= self._max_records and self._bytes * 2 <= self._max_bytes


def weight(record: Record) -> int:
    """Roughly the bytes that a record holds in memory."""
    return len(record.value or b"") + len(record.key or b"") + _OVERHEAD
