"""Finds the consumer that has records waiting and gets none of them done."""

import asyncio
from collections.abc import Callable, Mapping

from allweather.messaging.consumers.work import Work
from allweather.messaging.errors import ConsumerStalled, MessagingError
from allweather.messaging.metrics import Metrics
from allweather.messaging.ports import Broker, MembershipLost
from allweather.messaging.progress import Progress
from allweather.messaging.types import TopicPartition

Positions = Callable[[], Mapping[TopicPartition, int | None]]


class Watchdog:
    """No progress for `stall_after` seconds while records wait: `ConsumerStalled`.

    At half of that, with nothing in hand here, the client is to blame: `MembershipLost`, and a new one is made, once.
    `positions` are the next offsets to finish, None for a partition that has no place yet.
    """

    def __init__(
        self,
        broker: Broker,
        progress: Progress,
        *,
        group: str,
        work: Work,
        positions: Positions,
        stall_after: float,
        metrics: Metrics,
    ) -> None:
        self._broker, self._progress, self._group = broker, progress, group
        self._work, self._positions, self._metrics = work, positions, metrics
        self._stall_after = stall_after
        self._rejoined = False
        self._shown: set[TopicPartition] = set()

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._stall_after / 6)
            self._judge(await self._lag())

    def _judge(self, lag: int) -> None:
        if lag == 0 or self._work.on_time:
            self._progress.note()
        idle = self._progress.idle
        if idle < self._stall_after / 2:
            self._rejoined = False
        elif idle >= self._stall_after:
            raise ConsumerStalled(f"group {self._group}: {lag} records wait, none was finished for {idle:.0f} s")
        elif not self._work.busy and not self._rejoined:
            self._rejoined = True
            raise MembershipLost(f"group {self._group}: {lag} records wait, none was delivered for {idle:.0f} s")

    async def _lag(self) -> int:
        """Records that wait in our partitions; 0 when the broker, which is no fault of ours, does not say."""
        positions = self._positions()
        unplaced = [at for at, offset in positions.items() if offset is None]
        try:
            ends = await self._broker.end_offsets(positions)
            begins = await self._broker.beginning_offsets(unplaced)
        except MessagingError:
            return 0
        lags = {at: ends[at] - (begins[at] if offset is None else offset) for at, offset in positions.items()}
        self._show(lags)
        return sum(lags.values())

    def _show(self, lags: Mapping[TopicPartition, int]) -> None:
        gone = dict.fromkeys(self._shown - lags.keys(), 0)  # their lag is shown by their owner
        for (topic, partition), lag in {**gone, **lags}.items():
            self._metrics.gauge("messaging.lag", lag, group=self._group, topic=topic, partition=str(partition))
        self._shown = set(lags)
