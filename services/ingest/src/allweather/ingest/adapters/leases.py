"""Which partition of the door topic is this replica's: leased, so that replicas spread; shared when there are too few.

Two doors at one partition do no harm: each hands on only what its own callers wait for.
"""

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from allweather.runtime.postgres import DependencyAway, Postgres

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

log = logging.getLogger(__name__)

LEASE_S: Final = 15.0
RENEW_S: Final = 5.0

_MAKE: Final = "INSERT INTO ingest.doors (partition) SELECT generate_series(0, $1::int - 1) ON CONFLICT DO NOTHING"
_TAKE: Final = """
    UPDATE ingest.doors SET holder = $1, until = now() + $2 * interval '1 second'
    WHERE partition = (
        SELECT partition FROM ingest.doors
        WHERE partition < $3 AND (holder = $1 OR until < now())
        ORDER BY holder IS NOT DISTINCT FROM $1 DESC, partition
        LIMIT 1 FOR UPDATE SKIP LOCKED
    )
    RETURNING partition
"""
_GIVE_BACK: Final = "UPDATE ingest.doors SET until = '-infinity' WHERE holder = $1"


class Leases:
    """The table `ingest.doors`: who reads which partition, until when."""

    def __init__(self, postgres: Postgres, *, partitions: int) -> None:
        self._postgres = postgres
        self._partitions = partitions

    async def take(self, door: str, slot: int) -> int:
        """A partition for `door`, its own again if it has one; `slot` chooses when all are taken."""

        async def work(connection: "PoolConnectionProxy[asyncpg.Record]") -> int | None:
            await connection.execute(_MAKE, self._partitions)
            return await connection.fetchval(_TAKE, door, LEASE_S, self._partitions)

        taken = await self._postgres.run(work)
        return slot % self._partitions if taken is None else taken

    async def renew(self, door: str) -> None:
        """Hold on to what `door` has; what it lost meanwhile is shared from now on."""
        statement = "UPDATE ingest.doors SET until = now() + $2 * interval '1 second' WHERE holder = $1"
        await self._postgres.run(lambda connection: connection.execute(statement, door, LEASE_S))

    async def give_back(self, door: str) -> None:
        """Let another replica have it at once."""
        await self._postgres.run(lambda connection: connection.execute(_GIVE_BACK, door))


async def keep(leases: Leases, door: str) -> None:
    """Renew the lease of `door` until cancelled. Without Postgres another replica may share the partition: no harm."""
    while True:
        await asyncio.sleep(RENEW_S)
        try:
            await leases.renew(door)
        except DependencyAway:
            log.debug("the lease cannot be renewed")
