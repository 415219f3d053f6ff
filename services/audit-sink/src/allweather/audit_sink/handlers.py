"""Records in, entries in the log: the sink's side of the consumer."""

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from allweather.audit_sink.adapters.log import FrontierMoved, Log, LogRewound
from allweather.audit_sink.backlog import Backlog
from allweather.audit_sink.shards import Append, Shard, append
from allweather.messaging import Outputs, Record, TopicPartition
from allweather.telemetry.instruments import NONE
from allweather.telemetry.metrics import AUDIT_ENTRIES, AUDIT_GAPS

log = logging.getLogger(__name__)


class Sink:
    """Enters every record once, whatever is delivered again, and whoever else writes to the same shard.

    Where the shards stand is in Postgres; what is held here is what was last seen there.
    """

    def __init__(self, tables: Log, backlog: Backlog) -> None:
        self._tables, self._backlog = tables, backlog
        self._shards: dict[int, Shard] = {}

    @property
    def shards(self) -> Mapping[int, Shard]:
        """The shards whose partitions are assigned to this process, as far as it knows them."""
        return self._shards

    async def start_offsets(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Where the log wants each partition to go on; also loads the shards of those partitions."""
        self._shards = await self._tables.load(at.partition for at in partitions)
        return {at: self._shards[at.partition].offsets.get(at.topic, 0) for at in partitions}

    async def __call__(self, records: Sequence[Record]) -> Outputs:
        by_shard = defaultdict[int, list[Record]](list)
        for record in records:
            by_shard[record.partition].append(record)
        steps = await self._append(by_shard)
        self._note(steps)
        return Outputs()

    async def _append(self, by_shard: Mapping[int, Sequence[Record]]) -> Sequence[Append]:
        """The steps that were taken, at the frontier that Postgres had."""
        while True:
            steps = [append(self._shards[number], batch) for number, batch in by_shard.items()]
            steps = [step for step in steps if step.rows]
            try:
                await self._tables.append(steps)
            except FrontierMoved:
                await self._reload(by_shard)
            else:
                self._shards |= {step.after.number: step.after for step in steps}
                return steps

    async def _reload(self, numbers: Collection[int]) -> None:
        """See what another writer has done. Raises `LogRewound` if the log is shorter than it was."""
        found = await self._tables.load(numbers)
        for number, shard in found.items():
            if shard.size < self._shards[number].size:
                raise LogRewound(f"shard {number} has {shard.size} entries, and had {self._shards[number].size}")
        self._shards |= found

    def _note(self, steps: Sequence[Append]) -> None:
        entries = sum(len(step.rows) for step in steps)
        self._backlog.add(entries)
        AUDIT_ENTRIES.inc(NONE, entries)
        for gap in (gap for step in steps for gap in step.gaps):
            AUDIT_GAPS.inc(NONE)
            log.error(
                "records were gone before they were audited", extra={"topic": gap.topic, "offset": gap.source_offset}
            )
