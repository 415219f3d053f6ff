"""What a batch of records adds to a shard: which entries, at which indices, and what the shard is afterwards. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from allweather.audit_sink.entries import Entry, encode
from allweather.audit_sink.merkle import Frontier, Place, grow, leaf_hash
from allweather.audit_sink.reading import entry_of, gap_before
from allweather.messaging.types import Record


@dataclass(frozen=True, slots=True)
class Shard:
    """One tree of the log, and how far it has come in each topic. Its number is a partition of every topic."""

    number: int
    frontier: Frontier = field(default_factory=Frontier)
    offsets: Mapping[str, int] = field(default_factory=dict[str, int])
    """The next offset to be entered, by topic; a topic that is not here begins at 0."""

    @property
    def size(self) -> int:
        return self.frontier.size


class Row(NamedTuple):
    """An entry as it is stored: with its leaf hash, and findable by request and by source."""

    number: int
    """Its index."""
    request_id: UUID | None
    topic: str
    source_offset: int
    leaf_hash: bytes
    entry: bytes


@dataclass(frozen=True, slots=True)
class Append:
    """A step of a shard: from `before`, by `rows`, to `after`. It is taken whole or not at all."""

    before: Shard
    after: Shard
    rows: Sequence[Row]
    nodes: Sequence[tuple[Place, bytes]]
    """Inner nodes of the tree that this step completes, and that are kept for proofs."""
    gaps: Sequence[Row]
    """Those of the rows which say that records were missing."""


def append(shard: Shard, records: Sequence[Record]) -> Append:
    """Enter the records of the shard's partitions, each partition in order.

    What has been entered before is passed over. Records that are missing get one entry that says so.
    """
    offsets, rows, gaps = dict(shard.offsets), list[Row](), list[Row]()
    for record in records:
        expected = offsets.get(record.topic, 0)
        if record.offset < expected:
            continue
        if record.offset > expected:
            gaps.append(_row(gap_before(record, expected, shard.size + len(rows))))
            rows.append(gaps[-1])
        rows.append(_row(entry_of(record, shard.size + len(rows))))
        offsets[record.topic] = record.offset + 1
    growth = grow(shard.frontier, (row.leaf_hash for row in rows))
    return Append(shard, Shard(shard.number, growth.frontier, offsets), rows, growth.completed, gaps)


def _row(entry: Entry) -> Row:
    content = encode(entry)
    return Row(entry.index, entry.request_id, entry.topic, entry.offset, leaf_hash(content), content)
