"""The table `ingest.responses`: what was asked of responses that are stored."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol
from uuid import UUID

from allweather.ingest.responses import Kept
from allweather.runtime.postgres import Postgres

if TYPE_CHECKING:
    import asyncpg

LONGEST: Final = 1000
"""Responses in one chain."""

_KEEP: Final = """
    INSERT INTO ingest.responses (request_id, tenant, previous, background, stream, store, created_at_ms, body)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING
"""
_FIND: Final = "SELECT * FROM ingest.responses WHERE request_id = $1 AND tenant = $2"
_CHAIN: Final = f"""
    WITH RECURSIVE chain AS (
        SELECT r.*, 1 AS depth FROM ingest.responses r WHERE request_id = $1 AND tenant = $2
        UNION ALL
        SELECT r.*, chain.depth + 1 FROM ingest.responses r JOIN chain ON r.request_id = chain.previous
        WHERE r.tenant = $2 AND chain.depth < {LONGEST}
    )
    SELECT * FROM chain ORDER BY depth DESC
"""  # noqa: S608 - the limit is ours
_FORGET: Final = "DELETE FROM ingest.responses WHERE request_id = $1 AND tenant = $2 RETURNING request_id"
_PRUNE: Final = "DELETE FROM ingest.responses WHERE created_at_ms < $1"


class Responses(Protocol):
    """Remembers what was asked. Every call raises `DependencyAway` when that cannot be done now."""

    async def keep(self, kept: Kept) -> None:
        """Remember durably; a second time changes nothing."""
        ...

    async def find(self, request_id: UUID, tenant: str) -> Kept | None:
        """What was asked of a response, None when it is not stored or another tenant's."""
        ...

    async def chain(self, request_id: UUID, tenant: str) -> Sequence[Kept]:
        """A response and all on which it builds, the oldest first; empty when it is not stored."""
        ...

    async def forget(self, request_id: UUID, tenant: str) -> bool:
        """Forget a response; whether there was one."""
        ...


class ResponseTable:
    """`Responses` in Postgres."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def keep(self, kept: Kept) -> None:
        row = (kept.previous, kept.background, kept.stream, kept.store, kept.created_at_ms, kept.body)
        await self._postgres.run(lambda c: c.execute(_KEEP, kept.request_id, kept.tenant, *row))

    async def find(self, request_id: UUID, tenant: str) -> Kept | None:
        row = await self._postgres.run(lambda c: c.fetchrow(_FIND, request_id, tenant))
        return None if row is None else _kept(row)

    async def chain(self, request_id: UUID, tenant: str) -> Sequence[Kept]:
        rows = await self._postgres.run(lambda c: c.fetch(_CHAIN, request_id, tenant))
        return [_kept(row) for row in rows]

    async def forget(self, request_id: UUID, tenant: str) -> bool:
        return await self._postgres.run(lambda c: c.fetchval(_FORGET, request_id, tenant)) is not None

    async def prune(self, before_ms: int) -> None:
        """Forget what is older."""
        await self._postgres.run(lambda c: c.execute(_PRUNE, before_ms))


def _kept(row: "asyncpg.Record") -> Kept:
    return Kept(**{name: row[name] for name in Kept.__dataclass_fields__})
