"""Many records at a time, finished in any order."""

import asyncio
from collections.abc import Sequence

from allweather.failpoints import OFF, Failpoints
from allweather.messaging.consumers.flights import Flights
from allweather.messaging.consumers.intake import Intake
from allweather.messaging.consumers.member import Member
from allweather.messaging.consumers.steps import Steps
from allweather.messaging.consumers.work import Pace, Points
from allweather.messaging.metrics import Metrics, NoMetrics
from allweather.messaging.ports import Broker, Subscription
from allweather.messaging.progress import Progress
from allweather.messaging.types import BatchHandler, Middleware, Outputs, Record, RecordHandler, TopicPartition


class ConcurrentConsumer:
    """Keeps up to `window` records in the hands of `handler`, each by itself.

    The committed offset never passes an unfinished record; finished ones beyond it are noted beside it, so that the
    next owner of the partition does not handle them again. A handler survives rebalances: it ends in its own time and
    its outputs are published, but only the partition's owner of that moment commits its offset. So a record can be in
    two hands for a while, in two processes; within one process it never is. A handler that waits for the other hand
    steps aside (`stepping_aside`), and takes no place while it does.
    `middleware` is applied outermost first, and sees batches of one record.
    """

    def __init__(
        self,
        broker: Broker,
        handler: RecordHandler,
        *,
        group: str,
        instance: str | None = None,
        topics: Sequence[str] = (),
        pattern: str | None = None,
        window: int = 64,
        middleware: Sequence[Middleware] = (),
        pace: Pace | None = None,
        metrics: Metrics | None = None,
        failpoints: Failpoints = OFF,
        points: Points | None = None,
    ) -> None:
        pace, metrics = pace or Pace(), metrics or NoMetrics()
        progress = Progress()
        intake = Intake(progress, max_records=pace.max_records, max_bytes=pace.max_bytes, linger=pace.linger)
        steps = Steps(
            broker,
            _one_at_a_time(handler),
            middleware,
            group=group,
            metrics=metrics,
            failpoints=failpoints,
            points=points or Points(),
        )
        self._flights = Flights(intake, steps, progress, group=group, window=window, pace=pace, metrics=metrics)
        self._member = Member(
            broker,
            self._flights,
            intake,
            progress,
            group=group,
            instance=instance,
            subscription=Subscription(tuple(topics), pattern, pace.gather),
            start_offsets=None,
            pace=pace,
            metrics=metrics,
        )

    @property
    def assignment(self) -> frozenset[TopicPartition]:
        """The partitions that are this consumer's now."""
        return self._member.assignment

    @property
    def in_flight(self) -> int:
        """Records in the hands of the handler, or waiting for the acknowledgement of their outputs."""
        return self._flights.count

    async def run(self, stopping: asyncio.Event) -> None:
        """Consume until `stopping` is set; then let the records in flight finish, commit, and leave.

        Raises `ConsumerStopped`, or the bug that no middleware has dealt with: then the process must end.
        """
        await self._member.run(stopping)


def _one_at_a_time(handler: RecordHandler) -> BatchHandler:
    async def handle(records: Sequence[Record]) -> Outputs:
        (record,) = records
        return await handler(record)

    return handle
