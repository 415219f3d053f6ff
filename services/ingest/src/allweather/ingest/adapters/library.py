"""The tables of files and batches. Every call raises `DependencyAway` when Postgres cannot be used."""

from collections.abc import Collection, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from allweather.ingest.batches.batch import Batch
from allweather.ingest.batches.files import File, Part
from allweather.runtime.postgres import Connection, Postgres

if TYPE_CHECKING:
    import asyncpg

LEASE_S: Final = 15.0

_BATCH: Final = ", ".join(each.name for each in fields(Batch))
_FILE: Final = ", ".join(each.name for each in fields(File))
_PAGE: Final = """
    WHERE tenant = $1 AND ($2::uuid IS NULL OR (created_at_ms, id) <
        (SELECT created_at_ms, id FROM {table} WHERE id = $2 AND tenant = $1))
    {only} ORDER BY created_at_ms DESC, id DESC LIMIT $3
"""
_FIND: Final = f"SELECT {_BATCH} FROM ingest.batches WHERE id = $1 AND tenant = $2"  # noqa: S608
_TAKE: Final = f"""
    UPDATE ingest.batches SET holder = $1, until = now() + $2 * interval '1 second'
    WHERE id = (
        SELECT id FROM ingest.batches
        WHERE ended_at_ms IS NULL AND until < now() AND id <> ALL($3)
        ORDER BY until, created_at_ms LIMIT 1 FOR UPDATE SKIP LOCKED
    )
    RETURNING {_BATCH}
"""  # noqa: S608 - the names are ours
_SAVE: Final = f"""
    UPDATE ingest.batches SET until = now() + $3 * interval '1 second', submitted = greatest(submitted, $4),
        completed = $5, failed = $6
    WHERE id = $1 AND holder = $2 AND ended_at_ms IS NULL RETURNING {_BATCH}
"""  # noqa: S608
_ADVANCE: Final = f"""
    UPDATE ingest.batches SET status = CASE status WHEN 'cancelling' THEN status ELSE $2 END,
        total = $3, begun_at_ms = $4
    WHERE id = $1 AND ended_at_ms IS NULL RETURNING {_BATCH}
"""  # noqa: S608
_END: Final = """
    UPDATE ingest.batches SET status = $2, ended_at_ms = $3, completed = $4, failed = $5, faults = $6,
        output_file = $7, error_file = $8, results = $9, total = $10
    WHERE id = $1 AND ended_at_ms IS NULL
"""
_CANCEL: Final = f"""
    UPDATE ingest.batches SET status = 'cancelling', cancelled_at_ms = $3
    WHERE id = $1 AND tenant = $2 AND ended_at_ms IS NULL AND cancelled_at_ms IS NULL RETURNING {_BATCH}
"""  # noqa: S608


class Library:
    """Files and batches of all tenants; what a tenant may see is asked for with its name."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    # Files

    async def keep_file(self, file: File, parts: Sequence[Part]) -> None:
        """Keep a file whose parts are in the payload store. A file of the same id is replaced."""
        rows = [(file.id, n, part.lines, part.digest) for n, part in enumerate(parts)]

        async def work(connection: Connection) -> None:
            await connection.execute("DELETE FROM ingest.files WHERE id = $1", file.id)
            await connection.execute(
                f"INSERT INTO ingest.files ({_FILE}) VALUES ($1, $2, $3, $4, $5, $6, $7)",  # noqa: S608
                *(getattr(file, each.name) for each in fields(File)),
            )
            statement = "INSERT INTO ingest.file_parts (file_id, n, lines, digest) VALUES ($1, $2, $3, $4)"
            await connection.executemany(statement, rows)

        await self._postgres.transact(work)

    async def file(self, file_id: UUID, tenant: str) -> File | None:
        """The file of that id, None when there is none of this tenant."""
        row = await self._row(f"SELECT {_FILE} FROM ingest.files WHERE id = $1 AND tenant = $2", file_id, tenant)  # noqa: S608
        return File(**dict(row)) if row else None

    async def parts(self, file_id: UUID) -> list[Part]:
        """The parts of a file, in order."""
        rows = await self._rows("SELECT digest, lines FROM ingest.file_parts WHERE file_id = $1 ORDER BY n", file_id)
        return [Part(**dict(row)) for row in rows]

    async def files(self, tenant: str, after: UUID | None, limit: int) -> list[File]:
        """A page of files, the newest first."""
        page = _PAGE.format(table="ingest.files", only="AND purpose <> 'message_batch'")
        rows = await self._rows(f"SELECT {_FILE} FROM ingest.files {page}", tenant, after, limit)  # noqa: S608
        return [File(**dict(row)) for row in rows]

    async def forget_file(self, file_id: UUID, tenant: str) -> bool:
        """Forget a file, unless a batch that is under way reads it; whether it is forgotten.

        Its parts stay in the payload store, where nothing names them.
        """
        statement = """
            DELETE FROM ingest.files WHERE id = $1 AND tenant = $2
            AND NOT EXISTS (SELECT FROM ingest.batches WHERE input_file = $1 AND ended_at_ms IS NULL) RETURNING id
        """
        return await self._row(statement, file_id, tenant) is not None

    # Batches

    async def keep_batch(self, batch: Batch) -> None:
        """Keep a new batch; from now on it is fed."""
        names = [each.name for each in fields(Batch)]
        places = ", ".join(f"${n}" for n in range(1, len(names) + 1))
        statement = f"INSERT INTO ingest.batches ({_BATCH}) VALUES ({places}) ON CONFLICT DO NOTHING"  # noqa: S608
        await self._postgres.run(lambda c: c.execute(statement, *(getattr(batch, name) for name in names)))

    async def batch(self, batch_id: UUID, tenant: str) -> Batch | None:
        """The batch of that id, None when there is none of this tenant."""
        return _batch(await self._row(_FIND, batch_id, tenant))

    async def batches(self, tenant: str, after: UUID | None, limit: int, *, messages: bool) -> list[Batch]:
        """A page of batches, the newest first: Anthropic's, or OpenAI's."""
        page = _PAGE.format(table="ingest.batches", only=f"AND endpoint {'=' if messages else '<>'} '/v1/messages'")
        rows = await self._rows(f"SELECT {_BATCH} FROM ingest.batches {page}", tenant, after, limit)  # noqa: S608
        return [Batch(**dict(row)) for row in rows]

    async def cancel(self, batch_id: UUID, tenant: str, at_ms: int) -> Batch | None:
        """Ask for the end of a batch; None when it has ended or has been asked already."""
        return _batch(await self._row(_CANCEL, batch_id, tenant, at_ms))

    async def forget_batch(self, batch_id: UUID, tenant: str) -> None:
        """Forget a batch that has ended."""
        statement = "DELETE FROM ingest.batches WHERE id = $1 AND tenant = $2 AND ended_at_ms IS NOT NULL"
        await self._postgres.run(lambda c: c.execute(statement, batch_id, tenant))

    # Feeding

    async def take(self, holder: str, but: Collection[UUID] = ()) -> Batch | None:
        """A batch that nobody feeds, for `holder` from now on; not one of those that it is busy with anyway."""
        return _batch(await self._row(_TAKE, holder, LEASE_S, list(but)))

    async def advance(self, batch: Batch, status: str, total: int, at_ms: int) -> Batch | None:
        """Its file is understood: it goes on, unless it is to be cancelled."""
        return _batch(await self._row(_ADVANCE, batch.id, status, total, at_ms))

    async def save(self, batch: Batch, holder: str, submitted: int, completed: int, failed: int) -> Batch | None:
        """Note how far it is and hold on to it; None when it is another's by now, or over."""
        return _batch(await self._row(_SAVE, batch.id, holder, LEASE_S, submitted, completed, failed))

    async def end(self, ended: Batch) -> None:
        """Write down how it ended; the first time counts."""
        values = (ended.status, ended.ended_at_ms, ended.completed, ended.failed, ended.faults)
        files = (ended.output_file, ended.error_file, ended.results, ended.total)
        await self._postgres.run(lambda c: c.execute(_END, ended.id, *values, *files))

    async def running(self, tenant: str) -> int:
        """How many batches of a tenant are under way."""
        statement = "SELECT count(*) AS n FROM ingest.batches WHERE tenant = $1 AND ended_at_ms IS NULL"
        row = await self._row(statement, tenant)
        return row["n"] if row else 0

    async def give_back(self, holder: str) -> None:
        """Let another replica go on at once with what `holder` feeds."""
        statement = "UPDATE ingest.batches SET until = '-infinity' WHERE holder = $1 AND ended_at_ms IS NULL"
        await self._postgres.run(lambda c: c.execute(statement, holder))

    async def _row(self, statement: str, *values: Any) -> "asyncpg.Record | None":
        return await self._postgres.run(lambda c: c.fetchrow(statement, *values))

    async def _rows(self, statement: str, *values: Any) -> "list[asyncpg.Record]":
        return await self._postgres.run(lambda c: c.fetch(statement, *values))


def _batch(row: "asyncpg.Record | None") -> Batch | None:
    return Batch(**dict(row)) if row else None
