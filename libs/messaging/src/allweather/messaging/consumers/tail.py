"""The newest records of explicit partitions, without a group and without commits."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from types import TracebackType
from typing import Self

from allweather.messaging.consumers.work import Linger
from allweather.messaging.errors import TransientError
from allweather.messaging.ports import Broker, Reader
from allweather.messaging.progress import Progress
from allweather.messaging.types import Record, TopicPartition

log = logging.getLogger(__name__)


class TailConsumer:
    """An async iterator of batches. Everything published after `async with` has been entered is seen, in order.

    `starts` names partitions to be read from an offset instead of from their end. A reader that is stuck is replaced
    by one that goes on where it stood. `linger` is the same as a `Pace`'s.
    """

    def __init__(
        self,
        broker: Broker,
        partitions: Collection[TopicPartition],
        *,
        starts: Mapping[TopicPartition, int] | None = None,
        max_records: int = 500,
        stall_after: float = 30.0,
        reopen_after: float = 0.5,
    ) -> None:
        self._broker, self._wanted = broker, frozenset(partitions)
        self._starts = dict(starts or {})
        self._max_records, self._linger = max_records, Linger()
        self._stall_after, self._reopen_after = stall_after, reopen_after
        self._positions: dict[TopicPartition, int] = {}
        self._reader: Reader | None = None
        self._progress = Progress()

    @property
    def partitions(self) -> frozenset[TopicPartition]:
        return self._wanted

    async def move(self, partitions: Collection[TopicPartition]) -> None:
        """Read these partitions from now on: new ones from their end, the others from where they stand."""
        self._wanted = frozenset(partitions)
        await self._place()
        if self._reader is not None:
            await self._reader.assign(self._positions)

    async def __aenter__(self) -> Self:
        await self._place()
        await self._reopen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reader is not None:
            await self._reader.close()

    def __aiter__(self) -> AsyncIterator[Sequence[Record]]:
        return self

    async def __anext__(self) -> Sequence[Record]:
        """The next batch, as soon as there is one."""
        while True:
            records = await self._poll()
            if records:
                return records
            if self._progress.idle >= self._stall_after and await self._stuck():
                log.warning("tail of %s is stuck: reading on with a new reader", sorted(self._wanted))
                await self._reopen()

    async def _poll(self) -> Sequence[Record]:
        assert self._reader is not None, "a TailConsumer is used inside `async with`"
        try:
            records = await self._reader.poll(timeout=1.0, max_records=self._max_records)
        except TransientError as error:
            log.warning("tail of %s: %s", sorted(self._wanted), error)
            await asyncio.sleep(self._reopen_after)
            await self._reopen()
            return ()
        for record in records:
            self._positions[record.position] = record.offset + 1
        if records:
            self._progress.note()
            self._reader.rest(self._linger.after(len(records)))
        return records

    async def _stuck(self) -> bool:
        self._progress.note()
        try:
            ends = await self._broker.end_offsets(self._wanted)
        except TransientError:
            return False
        return any(end > self._positions[at] for at, end in ends.items())

    async def _place(self) -> None:
        """Fix the position of every wanted partition that has none yet."""
        fresh = self._wanted - self._positions.keys()
        known = {at: self._starts[at] for at in fresh if at in self._starts}
        ends = await self._broker.end_offsets(fresh - known.keys())
        self._positions = {
            at: offset for at, offset in {**self._positions, **known, **ends}.items() if at in self._wanted
        }

    async def _reopen(self) -> None:
        if self._reader is not None:
            await self._reader.close()
        self._reader = await self._broker.reader()
        await self._reader.assign(self._positions)
