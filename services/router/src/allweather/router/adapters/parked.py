"""The queue of parked requests. A row is gone only when the record that lets it go is acknowledged (R4)."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final

import asyncpg

from allweather.contracts.slip import Priority
from allweather.router.parking import Grant, Lane, Publish, Queue, Waiting
from allweather.router.space import Occupied
from allweather.runtime.postgres import Connection, Postgres

# A loose index scan: one probe for each lane and tenant, however many requests wait in it.
_QUEUES: Final = """
    WITH RECURSIVE queue AS (
        (SELECT class, lane, tenant FROM router.parked ORDER BY class, lane, tenant LIMIT 1)
        UNION ALL
        SELECT later.* FROM queue CROSS JOIN LATERAL (
            SELECT p.class, p.lane, p.tenant FROM router.parked AS p
            WHERE (p.class, p.lane, p.tenant) > (queue.class, queue.lane, queue.tenant)
            ORDER BY p.class, p.lane, p.tenant LIMIT 1
        ) AS later
    )
    SELECT class, lane, tenant FROM queue
"""
# Each lane is read in the order of its index, as far as could be needed. What is locked and not taken is free again
# in a moment. Rows without a partition are those of an older version.
_DUE: Final = """
    SELECT due.* FROM unnest($3::text[]) AS servable(lane) CROSS JOIN LATERAL (
        SELECT request_id, n, tenant, slip, body, body_ref, accepted_at_ms FROM router.parked AS p
        WHERE p.class = $1 AND p.lane = servable.lane AND p.tenant = $2 AND not_before_ms <= $4 AND deadline_ms > $4
            AND (p.partition IS NULL OR p.partition = ANY($6::int[]))
        ORDER BY accepted_at_ms {order} LIMIT $5 FOR UPDATE SKIP LOCKED
    ) AS due ORDER BY due.accepted_at_ms {order} LIMIT $5
"""
_DUE_BY_CLASS: Final = {
    Priority.INTERACTIVE: _DUE.format(order="DESC"),  # the newest: its caller is the likeliest to be there still
    Priority.BULK: _DUE.format(order="ASC"),
}
_ANY_DUE: Final = """
    SELECT class, lane, tenant FROM unnest($1::text[], $2::text[], $3::text[]) AS queue(class, lane, tenant)
    WHERE EXISTS (SELECT FROM router.parked AS p WHERE p.class = queue.class AND p.lane = queue.lane
                  AND p.tenant = queue.tenant AND not_before_ms <= $4 AND deadline_ms > $4)
"""
_EXPIRED: Final = """
    SELECT request_id, n, tenant, slip, body, body_ref FROM router.parked
    WHERE deadline_ms <= $1 ORDER BY deadline_ms LIMIT $2 FOR UPDATE SKIP LOCKED
"""
_GONE: Final = """
    DELETE FROM router.parked AS p USING unnest($1::uuid[], $2::int[]) AS gone(request_id, n)
    WHERE p.request_id = gone.request_id AND p.n = gone.n
"""
_COUNT: Final = """
    SELECT tenant, class, count(*) AS requests, sum(bytes)::bigint AS bytes FROM router.parked GROUP BY tenant, class
"""


class ParkedQueue:
    """The table `router.parked`, shared by all replicas: rows that one holds are skipped by the others."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def queues(self) -> list[Queue]:
        """Every queue in which something waits."""
        found = await self._postgres.run(lambda c: c.fetch(_QUEUES))
        return [_queue(record) for record in found]

    async def due(self, queues: Collection[Queue], now_ms: int) -> list[Queue]:
        """Those of these queues in which something is due, whosever it is."""
        columns = [q.priority.value for q in queues], [str(q.lane) for q in queues], [q.tenant for q in queues]
        found = await self._postgres.run(lambda c: c.fetch(_ANY_DUE, *columns, now_ms))
        return [_queue(record) for record in found]

    async def let_go(
        self, grants: Sequence[Grant], mine: Collection[int], now_ms: int, publish: Publish
    ) -> list[Waiting]:
        """Take due requests of my partitions out as granted: `publish` comes between the lock and the deletion."""

        async def take(connection: Connection) -> list[asyncpg.Record]:
            return [record for grant in grants for record in await _due(connection, grant, mine, now_ms)]

        return await self._out(take, publish)

    async def expire(self, now_ms: int, limit: int, publish: Publish) -> list[Waiting]:
        """Take out requests whose deadline has passed, the earliest first."""

        async def take(connection: Connection) -> list[asyncpg.Record]:
            return await connection.fetch(_EXPIRED, now_ms, limit)

        return await self._out(take, publish)

    async def counts(self) -> list[Occupied]:
        """What every tenant has in the queue."""
        found = await self._postgres.run(lambda c: c.fetch(_COUNT))
        return [Occupied(r["tenant"], r["class"], r["requests"], r["bytes"]) for r in found]

    async def _out(
        self, take: Callable[[Connection], Awaitable[list[asyncpg.Record]]], publish: Publish
    ) -> list[Waiting]:
        async def work(connection: Connection) -> list[Waiting]:
            waiting = [_waiting(record) for record in await take(connection)]
            if waiting:
                await publish(waiting)
                await connection.execute(_GONE, [w.request_id for w in waiting], [w.n for w in waiting])
            return waiting

        return await self._postgres.transact(work)


async def _due(connection: Connection, grant: Grant, mine: Collection[int], now_ms: int) -> list[asyncpg.Record]:
    lanes = [str(lane) for lane in grant.lanes]
    query = _DUE_BY_CLASS[grant.priority]
    return await connection.fetch(query, grant.priority.value, grant.tenant, lanes, now_ms, grant.limit, list(mine))


def _queue(record: asyncpg.Record) -> Queue:
    return Queue(Priority(record["class"]), Lane.parse(record["lane"]), record["tenant"])


def _waiting(record: asyncpg.Record) -> Waiting:
    return Waiting(
        request_id=record["request_id"],
        n=record["n"],
        tenant=record["tenant"],
        slip=record["slip"],
        body=record["body"],
        body_ref=record["body_ref"],
    )
