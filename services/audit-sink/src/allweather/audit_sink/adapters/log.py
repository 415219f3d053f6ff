"""The log's tables: appended to in one transaction, never changed.

The appending transactions do not wait for the disk. Whoever shows anything of the log to the outside (a copy on a
topic, a signature) first waits, by `heads`, until Postgres has flushed it: what was seen can never be taken back.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from allweather.audit_sink.merkle import Frontier
from allweather.audit_sink.shards import Append, Shard
from allweather.failpoints import OFF, Failpoints
from allweather.messaging import ConsumerStopped
from allweather.runtime.postgres import Postgres

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]

_PLANT: Final = """
INSERT INTO audit.trees (shard, size, frontier) SELECT unnest($1::int[]), 0, '' ON CONFLICT DO NOTHING
"""
_LOCK: Final = """
SELECT shard FROM audit.trees JOIN unnest($1::int[], $2::bigint[]) AS expected (shard, size) USING (shard, size)
ORDER BY shard FOR UPDATE OF trees
"""
_ADVANCE: Final = """
WITH trees AS (
    UPDATE audit.trees SET size = grown.size, frontier = grown.frontier
    FROM unnest($1::int[], $2::bigint[], $3::bytea[]) AS grown (shard, size, frontier) WHERE trees.shard = grown.shard
)
INSERT INTO audit.offsets (topic, partition, next_offset) SELECT * FROM unnest($4::text[], $5::int[], $6::bigint[])
ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset
"""
_PUBLISHED: Final = """
UPDATE audit.trees SET published = greatest(published, sealed.size)
FROM unnest($1::int[], $2::bigint[]) AS sealed (shard, size) WHERE trees.shard = sealed.shard
"""
_SEAL: Final = """
INSERT INTO audit.checkpoints (shard, size, signed_at, note)
SELECT * FROM unnest($1::int[], $2::bigint[], $3::timestamptz[], $4::text[]) AS sealed (shard, size, signed_at, note)
WHERE NOT EXISTS (
    SELECT FROM audit.checkpoints AS last
    WHERE last.shard = sealed.shard AND last.size >= sealed.size
    AND (last.size, last.signed_at) > (sealed.size, sealed.signed_at)
)
RETURNING shard
"""
_NEWEST: Final = """
SELECT DISTINCT ON (shard) shard, size, signed_at FROM audit.checkpoints ORDER BY shard, size DESC, id DESC
"""
_ENTRY_COLUMNS: Final = ("shard", "index", "request_id", "topic", "source_offset", "leaf_hash", "entry")
_NODE_COLUMNS: Final = ("shard", "level", "number", "hash")


class FrontierMoved(Exception):
    """Another writer has grown a shard since it was loaded: nothing was appended; load it and try again."""


class LogRewound(ConsumerStopped):
    """Postgres has lost the end of a shard that was not flushed: this process must start again from what is there."""


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a shard, flushed to disk, and up to where it is copied to the topic."""

    shard: int
    frontier: Frontier
    published: int


@dataclass(frozen=True, slots=True)
class SignedHead:
    """A checkpoint to be stored, and the copying that it covers."""

    shard: int
    size: int
    signed_at_s: int
    note: str


class Log:
    """The schema `audit`, for its one writer per shard."""

    def __init__(self, postgres: Postgres, failpoints: Failpoints = OFF) -> None:
        self._postgres = postgres
        self._failpoints = failpoints

    async def load(self, numbers: Iterable[int]) -> dict[int, Shard]:
        """The shards as they are now; one that is new begins empty."""
        wanted = sorted(set(numbers))

        async def read(connection: "Connection") -> dict[int, Shard]:
            await connection.execute(_PLANT, wanted)
            trees = await connection.fetch("SELECT * FROM audit.trees WHERE shard = ANY($1) FOR SHARE", wanted)
            offsets = await connection.fetch("SELECT * FROM audit.offsets WHERE partition = ANY($1)", wanted)
            return {
                tree["shard"]: Shard(
                    tree["shard"],
                    Frontier.from_bytes(tree["size"], tree["frontier"]),
                    {row["topic"]: row["next_offset"] for row in offsets if row["partition"] == tree["shard"]},
                )
                for tree in trees
            }

        return await self._postgres.transact(read)

    async def append(self, steps: Sequence[Append]) -> None:
        """Take all the steps in one transaction, or none. Raises `FrontierMoved` when one begins at an old frontier."""
        steps = sorted(steps, key=lambda step: step.before.number)

        async def write(connection: "Connection") -> None:
            await connection.execute("SET LOCAL synchronous_commit TO off")
            await _lock(connection, steps)
            await _advance(connection, steps)
            await _copy(connection, steps)
            await self._failpoints.pause("audit.before-commit")

        await self._postgres.transact(write)
        await self._failpoints.pause("audit.after-commit")

    async def heads(self, shards: Iterable[int]) -> list[Head]:
        """The ends of `shards`, once Postgres can no longer lose them."""

        async def read(connection: "Connection") -> list[Head]:
            rows = await connection.fetch("SELECT * FROM audit.trees WHERE shard = ANY($1) ORDER BY 1", list(shards))
            await _flush(connection)
            return [
                Head(row["shard"], Frontier.from_bytes(row["size"], row["frontier"]), row["published"]) for row in rows
            ]

        return await self._postgres.run(read)

    async def entries(self, shard: int, low: int, high: int) -> list[tuple[int, bytes]]:
        """The entries [low, high) of a shard, each with its index."""
        rows = await self._fetch(
            "SELECT index, entry FROM audit.entries WHERE shard = $1 AND index >= $2 AND index < $3 ORDER BY index",
            shard,
            low,
            high,
        )
        return [(row["index"], row["entry"].encode()) for row in rows]

    async def seal(self, signed: Sequence[SignedHead]) -> list[SignedHead]:
        """Store checkpoints, and that all entries below them are copied to the topic; returns those that were stored.

        One that is older than what another writer has stored meanwhile is not: the log never goes back.
        """
        by_shard = {head.shard: head for head in sorted(signed, key=lambda head: head.shard)}
        shards, sizes = list(by_shard), [head.size for head in by_shard.values()]
        times = [datetime.fromtimestamp(head.signed_at_s, UTC) for head in by_shard.values()]
        notes = [head.note for head in by_shard.values()]

        async def write(connection: "Connection") -> list[SignedHead]:
            await connection.execute(_PUBLISHED, shards, sizes)
            stored = await connection.fetch(_SEAL, shards, sizes, times, notes)
            return [by_shard[row["shard"]] for row in stored]

        return await self._postgres.transact(write) if signed else []

    async def last_signed(self) -> Mapping[int, tuple[int, float]]:
        """For each shard the size and time (Unix, seconds) of its newest checkpoint."""
        rows = await self._fetch(_NEWEST)
        return {row["shard"]: (row["size"], row["signed_at"].timestamp()) for row in rows}

    async def ping(self) -> None:
        await self._postgres.ping()

    async def _fetch(self, statement: str, *arguments: Any) -> "list[asyncpg.Record]":
        return await self._postgres.run(lambda connection: connection.fetch(statement, *arguments))


async def _lock(connection: "Connection", steps: Sequence[Append]) -> None:
    """Compare and set: the rows stay locked, and in the same order for every writer, until the transaction ends."""
    locked = await connection.fetch(_LOCK, [step.before.number for step in steps], [step.before.size for step in steps])
    if len(locked) < len(steps):
        raise FrontierMoved


async def _advance(connection: "Connection", steps: Sequence[Append]) -> None:
    """The trees and the source offsets, in one round trip."""
    places = [
        (topic, step.after.number, offset)
        for step in steps
        for topic, offset in step.after.offsets.items()
        if step.before.offsets.get(topic) != offset
    ]
    await connection.execute(
        _ADVANCE,
        [step.after.number for step in steps],
        [step.after.size for step in steps],
        [step.after.frontier.to_bytes() for step in steps],
        [topic for topic, _, _ in places],
        [number for _, number, _ in places],
        [offset for _, _, offset in places],
    )


async def _copy(connection: "Connection", steps: Sequence[Append]) -> None:
    rows = [
        (step.after.number, row.number, row.request_id, row.topic, row.source_offset, row.leaf_hash, row.entry.decode())
        for step in steps
        for row in step.rows
    ]
    await connection.copy_records_to_table("entries", schema_name="audit", records=rows, columns=_ENTRY_COLUMNS)
    nodes = [(step.after.number, at.level, at.number, node) for step in steps for at, node in step.nodes]
    if nodes:
        await connection.copy_records_to_table("nodes", schema_name="audit", records=nodes, columns=_NODE_COLUMNS)


async def _flush(connection: "Connection") -> None:
    """Return once all that is visible by now is on disk: a commit that waits for the disk takes all before it along."""
    async with connection.transaction():
        await connection.execute("SET LOCAL synchronous_commit TO on")
        await connection.execute("SELECT pg_logical_emit_message(true, 'allweather.audit', '')")
