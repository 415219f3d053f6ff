"""A member of a group, over as many stays in it as the brokers make necessary."""

import asyncio
import logging
from collections.abc import Collection, Mapping

from allweather.messaging.consumers.committer import Committer
from allweather.messaging.consumers.intake import Intake
from allweather.messaging.consumers.watchdog import Watchdog
from allweather.messaging.consumers.work import Pace, Work
from allweather.messaging.metrics import Metrics
from allweather.messaging.ports import Broker, Committed, MembershipLost, StartOffsets, Subscription
from allweather.messaging.progress import Progress
from allweather.messaging.tasks import until_first
from allweather.messaging.types import TopicPartition

log = logging.getLogger(__name__)


class Member:
    """Joins, polls, commits and watches, and joins again when a membership is lost. `Work` does the rest."""

    def __init__(
        self,
        broker: Broker,
        work: Work,
        intake: Intake,
        progress: Progress,
        *,
        group: str,
        instance: str | None,
        subscription: Subscription,
        start_offsets: StartOffsets | None,
        pace: Pace,
        metrics: Metrics,
    ) -> None:
        self._broker, self._work, self._intake, self._progress = broker, work, intake, progress
        self._group, self._instance, self._subscription = group, instance, subscription
        self._start_offsets, self._pace, self._metrics = start_offsets, pace, metrics
        self._committer = Committer(work, group=group, interval=pace.commit_interval, metrics=metrics)
        self._watchdog = Watchdog(
            broker,
            progress,
            group=group,
            work=work,
            positions=self._positions,
            stall_after=pace.stall_after,
            metrics=metrics,
        )
        self._assigned: frozenset[TopicPartition] = frozenset()
        self._last_positions: Mapping[TopicPartition, int | None] = {}

    @property
    def assignment(self) -> frozenset[TopicPartition]:
        """The partitions that are ours now."""
        return self._assigned

    async def run(self, stopping: asyncio.Event) -> None:
        """Consume until `stopping` is set; then finish what is in hand, commit it, and leave."""
        self._progress.adopt()
        try:
            await until_first(self._stays(), self._stopped(stopping))
        finally:
            await self._work.close()

    async def revoked(self) -> None:
        self._intake.revoked()
        await self._work.revoked()
        await self._committer.flush_before_leaving()
        self._left()

    async def assigned(
        self, partitions: Collection[TopicPartition], committed: Mapping[TopicPartition, Committed]
    ) -> Mapping[TopicPartition, int]:
        starts: Mapping[TopicPartition, int] = await self._start_offsets(partitions) if self._start_offsets else {}
        places = {**committed, **{at: Committed(offset) for at, offset in starts.items()}}
        self._committer.assigned(committed)
        self._work.assigned(partitions, places)
        self._intake.assigned(partitions)
        self._assigned = frozenset(partitions)
        self._progress.note()
        self._metrics.count("messaging.rebalances", group=self._group)
        log.info("group %s: assigned %s", self._group, sorted(partitions))
        return starts

    async def _stays(self) -> None:
        while True:
            try:
                await self._stay()
            except MembershipLost as lost:
                log.warning("group %s: joining again: %s", self._group, lost)
                self._metrics.count("messaging.memberships.lost", group=self._group)
                await asyncio.sleep(self._pace.rejoin_after)

    async def _stay(self) -> None:
        membership = await self._broker.join(
            group=self._group, instance=self._instance, subscription=self._subscription, rebalances=self
        )
        try:
            await until_first(
                self._intake.run(membership),
                self._work.run(),
                self._committer.run(membership),
                self._watchdog.run(),
            )
        finally:
            self._intake.revoked()
            self._left()
            await membership.close()

    async def _stopped(self, stopping: asyncio.Event) -> None:
        await stopping.wait()
        try:
            async with asyncio.timeout(self._pace.stop_grace):
                await self._work.finish()
        except TimeoutError:
            log.warning("group %s: stopped with work in hand; it will be delivered again", self._group)
        await self._committer.flush_before_leaving()

    def _left(self) -> None:
        if self._assigned:
            self._last_positions = self._positions()
        self._assigned = frozenset()
        self._work.left()

    def _positions(self) -> Mapping[TopicPartition, int | None]:
        """The next offset to finish of each partition; between two assignments those of the last one, because a
        rebalance that never ends is a stall like any other."""
        if not self._assigned:
            return self._last_positions
        places = self._work.places()
        return {at: places[at].offset if at in places else None for at in self._assigned}
