"""Commits the group's place: soon after it has moved, at most once in an interval, and before partitions go."""

import asyncio
import logging
from collections.abc import Mapping

from allweather.messaging.consumers.work import Work
from allweather.messaging.metrics import Metrics
from allweather.messaging.ports import CommitRefused, Committed, Membership, MembershipLost
from allweather.messaging.types import TopicPartition

log = logging.getLogger(__name__)


class Committer:
    """Stores what `work` says may be committed, one commit at a time, so that an older place never follows a newer."""

    def __init__(self, work: Work, *, group: str, interval: float, metrics: Metrics) -> None:
        self._work, self._group, self._interval, self._metrics = work, group, interval, metrics
        self._one_at_a_time = asyncio.Lock()
        self._membership: Membership | None = None
        self._stored: dict[TopicPartition, Committed] = {}

    async def run(self, membership: Membership) -> None:
        self._membership = membership
        try:
            while True:
                await self._work.moved.wait()
                await asyncio.sleep(self._interval)
                await self.flush()
        finally:
            self._membership = None

    def assigned(self, committed: Mapping[TopicPartition, Committed]) -> None:
        self._stored = dict(committed)

    async def flush(self) -> None:
        """Commit everything that has moved. A refused commit is dropped: the work has another owner now."""
        async with self._one_at_a_time:
            self._work.moved.clear()
            fresh = {at: place for at, place in self._work.places().items() if self._stored.get(at) != place}
            if fresh and self._membership is not None:
                await self._commit(fresh, self._membership)

    async def flush_before_leaving(self) -> None:
        """As `flush`, for a moment when a failure changes nothing: what was not committed is delivered again."""
        try:
            await self.flush()
        except MembershipLost as lost:
            log.warning("last commit of group %s failed: %s", self._group, lost)

    async def _commit(self, fresh: Mapping[TopicPartition, Committed], membership: Membership) -> None:
        try:
            await membership.commit(fresh)
        except CommitRefused as refused:
            log.info("commit of group %s refused: %s", self._group, refused)
            self._metrics.count("messaging.commits.refused", group=self._group)
        else:
            self._metrics.count("messaging.commits", group=self._group)
            self._stored.update(fresh)
            self._work.stored(fresh)
