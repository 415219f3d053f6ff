"""How far the log is behind the topics, for probes and metrics."""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Final

from allweather.audit_sink.shards import Shard
from allweather.messaging import Broker, TopicPartition, TransientError
from allweather.telemetry.metrics import AUDIT_LAG
from allweather.telemetry.metrics import Shard as ShardLabel

EVERY_S: Final = 5.0
SOON_S: Final = 0.25
"""While it is not known: until then the process is not ready."""


class LagUnknown(Exception):
    """No partition has been assigned to this process yet, or the topics' ends are not known."""


class Lag:
    """Compares what the log has entered with where the assigned partitions end."""

    def __init__(
        self,
        broker: Broker,
        assignment: Callable[[], Collection[TopicPartition]],
        shards: Callable[[], Mapping[int, Shard]],
    ) -> None:
        self._broker, self._assignment, self._shards = broker, assignment, shards
        self._known = False

    async def run(self, stopping: asyncio.Event) -> None:
        """Measure every few seconds until `stopping` is set."""
        while not stopping.is_set():
            try:
                await self.measure()
            except TransientError:
                self._known = False
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), EVERY_S if self._known else SOON_S)

    async def measure(self) -> Mapping[int, int]:
        """The records of each shard that have no entry yet."""
        shards, behind = self._shards(), Counter[int]()
        ends = await self._broker.end_offsets(self._assignment())
        for at, end in ends.items():
            if at.partition in shards:
                behind[at.partition] += max(0, end - shards[at.partition].offsets.get(at.topic, 0))
        for shard in shards:
            AUDIT_LAG.set(ShardLabel(str(shard)), behind[shard])
        self._known = bool(ends)
        return behind

    async def ping(self) -> None:
        """Raise until the lag is known."""
        if not self._known:
            raise LagUnknown("not known yet")
