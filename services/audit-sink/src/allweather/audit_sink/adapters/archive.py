"""The log's tables as an auditor reads them: one consistent view, in bounded memory, changing nothing."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final
from uuid import UUID

from allweather.audit_sink.checks import StoredCheckpoint, StoredRow, StoredTree
from allweather.audit_sink.merkle import Leaves, Place, places, subtree_root
from allweather.runtime.postgres import Postgres

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]

PAGE: Final = 5_000

_ROWS: Final = """
SELECT index, topic, source_offset, request_id, leaf_hash, entry FROM audit.entries
WHERE shard = $1 AND index >= $2 ORDER BY index LIMIT $3
"""
_COVERING: Final = """
SELECT id, size, note FROM audit.checkpoints WHERE shard = $1 AND size > $2 ORDER BY size, id LIMIT 1
"""


class Snapshot:
    """The tables at one moment."""

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection

    async def shards(self) -> list[int]:
        """Every shard of which any table knows."""
        rows = await self._connection.fetch(
            "SELECT shard FROM audit.trees UNION SELECT shard FROM audit.entries UNION SELECT shard FROM"
            " audit.checkpoints UNION SELECT partition FROM audit.offsets ORDER BY 1"
        )
        return [row["shard"] for row in rows]

    async def tree(self, shard: int) -> StoredTree | None:
        row = await self._connection.fetchrow(
            "SELECT size, frontier, published FROM audit.trees WHERE shard = $1", shard
        )
        return StoredTree(*row) if row else None

    async def nodes(self, shard: int) -> dict[Place, bytes]:
        """The inner nodes that are kept of a shard's tree."""
        rows = await self._connection.fetch("SELECT level, number, hash FROM audit.nodes WHERE shard = $1", shard)
        return {Place(row["level"], row["number"]): row["hash"] for row in rows}

    async def checkpoints(self, shard: int) -> list[StoredCheckpoint]:
        """In the order in which they were stored."""
        rows = await self._connection.fetch(
            "SELECT id, size, note FROM audit.checkpoints WHERE shard = $1 ORDER BY id", shard
        )
        return [StoredCheckpoint(*row) for row in rows]

    async def offsets(self, shard: int) -> Mapping[str, int]:
        """The next offset to be entered, by topic."""
        rows = await self._connection.fetch("SELECT topic, next_offset FROM audit.offsets WHERE partition = $1", shard)
        return {row["topic"]: row["next_offset"] for row in rows}

    async def rows(self, shard: int) -> AsyncIterator[Sequence[StoredRow]]:
        """Every row of a shard by its index, in pages."""
        low = 0
        while page := await self._connection.fetch(_ROWS, shard, low, PAGE):
            yield [
                StoredRow(
                    row["index"],
                    row["topic"],
                    row["source_offset"],
                    row["request_id"],
                    row["leaf_hash"],
                    row["entry"].encode(),
                )
                for row in page
            ]
            low = page[-1]["index"] + 1

    async def of_request(self, request_id: UUID) -> list[tuple[int, int, bytes]]:
        """The entries of a request, as (shard, index, entry)."""
        rows = await self._connection.fetch(
            "SELECT shard, index, entry FROM audit.entries WHERE request_id = $1 ORDER BY shard, index", request_id
        )
        return [(row["shard"], row["index"], row["entry"].encode()) for row in rows]

    async def covering(self, shard: int, index: int) -> StoredCheckpoint | None:
        """The first checkpoint that covers an entry, if one has been signed yet."""
        row = await self._connection.fetchrow(_COVERING, shard, index)
        return StoredCheckpoint(*row) if row else None

    async def proof(self, shard: int, path: Sequence[Leaves]) -> list[bytes]:
        """The roots of the subtrees of `path`, from a few hundred rows at most."""
        needed = [place for leaves in path for place in places(leaves)]
        nodes = await self._leaves(shard, needed) | await self._inner(shard, needed)
        return [subtree_root(leaves, nodes) for leaves in path]

    async def _leaves(self, shard: int, needed: Iterable[Place]) -> dict[Place, bytes]:
        rows = await self._connection.fetch(
            "SELECT index, leaf_hash FROM audit.entries WHERE shard = $1 AND index = ANY($2)",
            shard,
            [at.number for at in needed if at.level == 0],
        )
        return {Place(0, row["index"]): row["leaf_hash"] for row in rows}

    async def _inner(self, shard: int, needed: Iterable[Place]) -> dict[Place, bytes]:
        inner = [at for at in needed if at.level > 0]
        rows = await self._connection.fetch(
            "SELECT level, number, hash FROM audit.nodes"
            " JOIN unnest($2::int[], $3::bigint[]) AS needed (level, number) USING (level, number) WHERE shard = $1",
            shard,
            [at.level for at in inner],
            [at.number for at in inner],
        )
        return {Place(row["level"], row["number"]): row["hash"] for row in rows}


class Archive:
    """The schema `audit`, for reading."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    @asynccontextmanager
    async def snapshot(self) -> AsyncGenerator[Snapshot]:
        """The tables as they are now, for as long as the block runs."""
        async with (
            self._postgres.pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield Snapshot(connection)
