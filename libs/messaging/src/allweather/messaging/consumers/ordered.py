"""One batch after another: each partition in order, outputs acknowledged before the next batch begins."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

from allweather.failpoints import OFF, Failpoints
from allweather.messaging.consumers.intake import Intake
from allweather.messaging.consumers.member import Member
from allweather.messaging.consumers.steps import Steps
from allweather.messaging.consumers.work import IN_BATCHES, Pace, Points
from allweather.messaging.metrics import Metrics, NoMetrics
from allweather.messaging.ports import Broker, Committed, StartOffsets, Subscription
from allweather.messaging.progress import Progress
from allweather.messaging.tasks import cancel, until_done
from allweather.messaging.types import BatchHandler, Middleware, Record, TopicPartition


class OrderedConsumer:
    """Hands batches to `handler`, publishes what it returns, and commits when all of that is acknowledged.

    A batch holds records of all assigned partitions, each partition in order. At a crash, or a rebalance that does not
    wait, the batch is delivered again from its beginning. With `start_offsets` the offsets' true home is elsewhere: it
    is asked where to read from at each assignment, and the group's place in Kafka only serves whoever watches the lag.
    `middleware` is applied outermost first.
    """

    def __init__(
        self,
        broker: Broker,
        handler: BatchHandler,
        *,
        group: str,
        instance: str | None = None,
        topics: Sequence[str] = (),
        pattern: str | None = None,
        middleware: Sequence[Middleware] = (),
        start_offsets: StartOffsets | None = None,
        pace: Pace | None = None,
        metrics: Metrics | None = None,
        failpoints: Failpoints = OFF,
        points: Points | None = None,
    ) -> None:
        pace, metrics = pace or IN_BATCHES, metrics or NoMetrics()
        progress = Progress()
        intake = Intake(progress, max_records=pace.max_records, max_bytes=pace.max_bytes, linger=pace.linger)
        steps = Steps(
            broker,
            handler,
            middleware,
            group=group,
            metrics=metrics,
            failpoints=failpoints,
            points=points or Points(),
        )
        self._member = Member(
            broker,
            _Batches(intake, steps, progress, pace),
            intake,
            progress,
            group=group,
            instance=instance,
            subscription=Subscription(tuple(topics), pattern, pace.gather),
            start_offsets=start_offsets,
            pace=pace,
            metrics=metrics,
        )

    @property
    def assignment(self) -> frozenset[TopicPartition]:
        """The partitions that are this consumer's now."""
        return self._member.assignment

    async def run(self, stopping: asyncio.Event) -> None:
        """Consume until `stopping` is set; then finish the batch in hand, commit, and leave.

        Raises `ConsumerStopped`, or the bug that no middleware has dealt with: then the process must end.
        """
        await self._member.run(stopping)


class _Batches:
    """The work: `Steps` on one batch at a time."""

    def __init__(self, intake: Intake, steps: Steps, progress: Progress, pace: Pace) -> None:
        self._intake, self._steps, self._progress, self._pace = intake, steps, progress, pace
        self._places: dict[TopicPartition, Committed] = {}
        self._worker: asyncio.Task[None] | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._finishing = False
        self.moved = asyncio.Event()

    async def run(self) -> None:
        while not self._finishing:
            self._worker = asyncio.create_task(self._work())
            try:
                await until_done(self._worker)
            except asyncio.CancelledError:
                await cancel(self._worker)
                raise
            if not self._worker.cancelled():  # cancelled by a rebalance: its records will be delivered again
                self._worker.result()
        await asyncio.Event().wait()

    async def _work(self) -> None:
        while not self._finishing:
            records = await self._intake.take()
            self._idle.clear()
            try:
                await self._take(records)
            finally:
                self._idle.set()

    async def revoked(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._pace.revoke_grace):
                await self._idle.wait()
        if self.busy:
            await self.close()

    def left(self) -> None:
        self._places.clear()

    def assigned(self, partitions: Collection[TopicPartition], committed: Mapping[TopicPartition, Committed]) -> None:
        self._places = {at: Committed(place.offset) for at, place in committed.items() if at in partitions}

    def places(self) -> Mapping[TopicPartition, Committed]:
        return self._places

    def stored(self, places: Mapping[TopicPartition, Committed]) -> None:
        """Nothing is kept beside the places themselves."""

    async def finish(self) -> None:
        self._finishing = True
        await self._idle.wait()

    async def close(self) -> None:
        if self._worker is not None:
            await cancel(self._worker)

    @property
    def busy(self) -> bool:
        return not self._idle.is_set()

    @property
    def on_time(self) -> bool:
        """A batch has no limit of its own; a handler that waits for good reason says so (`note_progress`)."""
        return False

    async def _take(self, records: Sequence[Record]) -> None:
        outputs = await self._steps.handle(records)
        if self._steps.early_commit:
            self._done(records)
        await self._steps.publish(outputs.messages)
        self._done(records)
        await self._steps.tidy([outputs.after_ack])

    def _done(self, records: Sequence[Record]) -> None:
        last = {(record.topic, record.partition): record.offset for record in records}
        for at, offset in last.items():
            self._places[TopicPartition(*at)] = Committed(offset + 1)
        self._progress.note()
        self.moved.set()
