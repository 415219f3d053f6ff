"""The work of the concurrent consumer: records in flight, and their landing."""

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any

from allweather.messaging.consumers.intake import Intake
from allweather.messaging.consumers.steps import Steps
from allweather.messaging.consumers.work import Pace
from allweather.messaging.metrics import Metrics
from allweather.messaging.offsets import Begun, OffsetTracker
from allweather.messaging.ports import Committed
from allweather.messaging.progress import Progress
from allweather.messaging.tasks import cancel, until_first
from allweather.messaging.types import Outputs, Record, TopicPartition
from allweather.messaging.window import Window


class Flights:
    """A task for each record, and one that publishes the results of those that have ended, together.

    All of them outlive a membership: what was begun is ended.
    """

    def __init__(
        self,
        intake: Intake,
        steps: Steps,
        progress: Progress,
        *,
        group: str,
        window: int,
        pace: Pace,
        metrics: Metrics,
    ) -> None:
        self._intake, self._steps, self._progress = intake, steps, progress
        self._group, self._pace, self._metrics = group, pace, metrics
        self._trackers: dict[TopicPartition, OffsetTracker] = {}
        self._assigned: frozenset[TopicPartition] = frozenset()
        self._flying: dict[tuple[TopicPartition, int], float] = {}
        self._landed: list[tuple[Record, Outputs]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._error: BaseException | None = None
        self._landing = self._finishing = False
        self._has_landed, self._changed, self._has_failed = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._window = Window(window, self._flying.__len__, self._changed.set)
        self.moved = asyncio.Event()

    async def run(self) -> None:
        if not self._landing:
            self._landing = True
            self._spawn(self._land())
        await until_first(self._begin(), self._failure())

    async def revoked(self) -> None:
        """Handlers go on; but what has ended already is worth a moment, to have it committed from here."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._pace.revoke_grace):
                await self._until(lambda: not self._landed)

    def left(self) -> None:
        self._assigned = frozenset()

    def assigned(self, partitions: Collection[TopicPartition], committed: Mapping[TopicPartition, Committed]) -> None:
        for at in partitions:
            self._trackers.setdefault(at, OffsetTracker()).rebase(committed.get(at))
        self._assigned = frozenset(partitions)

    def places(self) -> Mapping[TopicPartition, Committed]:
        places = ((at, self._trackers[at].place()) for at in self._assigned)
        return {at: place for at, place in places if place is not None}

    def stored(self, places: Mapping[TopicPartition, Committed]) -> None:
        for at, place in places.items():
            self._trackers[at].committed(place)

    async def finish(self) -> None:
        self._finishing = True
        await self._until(lambda: not self._flying)

    async def close(self) -> None:
        await cancel(*self._tasks)

    @property
    def count(self) -> int:
        return len(self._flying)

    @property
    def busy(self) -> bool:
        return bool(self._flying)

    @property
    def on_time(self) -> bool:
        limit = time.monotonic() - self._pace.call_limit
        return any(begun > limit for begun in self._flying.values())

    async def _begin(self) -> None:
        while True:
            record = await self._intake.first()
            if self._finishing or self._window.full or not self._admits(record):
                await self._change()
            else:
                self._launch(self._intake.pop())

    def _admits(self, record: Record) -> bool:
        return self._trackers[record.position].admits(record.offset)

    def _launch(self, record: Record) -> None:
        at = record.position
        if self._trackers[at].begin(record.offset) is Begun.NEW:
            self._flying[at, record.offset] = time.monotonic()
            self._metrics.gauge("messaging.in_flight", len(self._flying), group=self._group)
            self._spawn(self._fly(record))
        else:
            self._metrics.count("messaging.redeliveries.skipped", group=self._group)
            self.moved.set()

    async def _fly(self, record: Record) -> None:
        self._window.adopt()
        outputs = await self._steps.handle([record])
        self._landed.append((record, outputs))
        self._has_landed.set()

    async def _land(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._has_landed.wait()
            self._has_landed.clear()
            landed = tuple(self._landed)
            next_landing = loop.time() + self._pace.linger.after(len(landed))
            if self._steps.early_commit:
                self._finish(landed)
            await self._steps.publish([message for _, outputs in landed for message in outputs.messages])
            self._finish(landed)
            del self._landed[: len(landed)]
            self._window.freed()
            await self._steps.tidy(outputs.after_ack for _, outputs in landed)
            await asyncio.sleep(next_landing - loop.time())

    def _finish(self, landed: Sequence[tuple[Record, Outputs]]) -> None:
        for record, _ in landed:
            at = record.position
            self._trackers[at].finish(record.offset)
            self._flying.pop((at, record.offset), None)
        self._metrics.gauge("messaging.in_flight", len(self._flying), group=self._group)
        self._progress.note()
        self.moved.set()

    async def _until(self, state: Callable[[], bool]) -> None:
        while not state():
            await self._change()

    async def _change(self) -> None:
        """Return when something has landed."""
        self._changed.clear()
        await self._changed.wait()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._error = self._error or error
            self._has_failed.set()

    async def _failure(self) -> None:
        """Raise what no middleware has dealt with."""
        await self._has_failed.wait()
        assert self._error is not None
        raise self._error
