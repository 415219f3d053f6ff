"""The table of steps: one insert for a batch, first row wins; and reads for whoever was not first."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

import asyncpg

from allweather.contracts.slip import ReplyAddress
from allweather.router.events import Cause, Occurrence
from allweather.router.parking import Lane, Parking
from allweather.router.steps import Key, Row
from allweather.runtime.postgres import Connection, Postgres

_LOAD: Final = """
    SELECT s.* FROM unnest($1::uuid[], $2::int[]) AS k(request_id, position) JOIN router.steps AS s
    ON s.request_id = k.request_id AND s.position = k.position
"""
# A row with `after` counts only together with that one. Whoever loses the first loses all that its cause would take,
# and so does whoever comes to a request that is settled ($13: unless nobody cares).
_WON: Final = """
    WITH row AS (SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[], $6::int[],
                                      $7::bigint[], $8::text[], $9::bigint[], $10::bytea[], $11::bytea[], $12::int[])
        AS row(request_id, position, step, tenant, cause_topic, cause_partition, cause_offset, cause_id, at_ms,
               decision, reply, after)),
    lead AS (
        INSERT INTO router.steps SELECT request_id, position, step, tenant, cause_topic, cause_partition, cause_offset,
                                        cause_id, at_ms, decision, reply FROM row WHERE after IS NULL
            AND ($13 OR NOT EXISTS (SELECT FROM router.steps AS s
                                    WHERE s.request_id = row.request_id AND s.position = 32767))
        ON CONFLICT DO NOTHING RETURNING request_id, position
    ),
    rest AS (
        INSERT INTO router.steps SELECT row.request_id, row.position, step, tenant, cause_topic, cause_partition,
                                        cause_offset, cause_id, at_ms, decision, reply
        FROM row JOIN lead ON lead.request_id = row.request_id AND lead.position = row.after
        ON CONFLICT DO NOTHING RETURNING request_id, position
    ),
    won AS (SELECT * FROM lead UNION ALL SELECT * FROM rest)
"""
_TAKE: Final = f"{_WON} SELECT request_id, position FROM won"  # noqa: S608 - a constant
# Only whoever takes the step parks the request: the row of a step that another replica took is there already.
_TAKE_AND_PARK: Final = f"""
    {_WON},
    parking AS (SELECT * FROM unnest($14::uuid[], $15::int[], $16::int[], $17::text[], $18::text[], $19::text[],
                                     $20::text[], $21::text[], $22::bigint[], $23::bigint[], $24::bigint[], $25::int[],
                                     $26::bytea[], $27::bytea[], $28::text[], $29::int[])
        AS parking(request_id, position, n, tenant, route, class, region, lane, accepted_at_ms, not_before_ms,
                   deadline_ms, bytes, slip, body, body_ref, partition)),
    queued AS (
        INSERT INTO router.parked SELECT parking.request_id, n, tenant, route, class, region, lane, accepted_at_ms,
                                         not_before_ms, deadline_ms, bytes, slip, body, body_ref, partition
        FROM parking JOIN won ON won.request_id = parking.request_id AND won.position = parking.position
        ON CONFLICT DO NOTHING
    )
    SELECT request_id, position FROM won
"""  # noqa: S608 - two constants
_UNPARK: Final = "DELETE FROM router.parked WHERE request_id = ANY($1::uuid[])"
_WAIT: Final = """
    INSERT INTO router.waiters (request_id, cause_topic, cause_partition, cause_offset, at_ms, address)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::bytea[])
    ON CONFLICT DO NOTHING
"""
# By request: a chain disappears as a whole, once its last step is old.
_FORGET: Final = """
    WITH old AS (SELECT request_id FROM router.steps WHERE at_ms < $1 AND position = 32767 LIMIT $2),
         waited AS (DELETE FROM router.waiters USING old WHERE waiters.request_id = old.request_id)
    DELETE FROM router.steps USING old WHERE steps.request_id = old.request_id
"""
_FORGET_AT_ONCE: Final = 1_000
_WAITERS: Final = "SELECT request_id, address FROM router.waiters WHERE request_id = ANY($1::uuid[])"


class StepTable:
    """The rows that decide. Raises the pool's `away` error while Postgres cannot be used; all calls may be repeated."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def load(self, keys: Collection[Key]) -> dict[Key, Row]:
        """The rows of these steps, as far as they are taken."""
        if not keys:
            return {}
        requests, positions = zip(*keys, strict=True)
        found = await self._postgres.run(lambda c: c.fetch(_LOAD, requests, positions))
        rows = (_row(record) for record in found)
        return {row.key: row for row in rows}

    async def take(
        self,
        rows: Collection[Row],
        parkings: Collection[Parking] = (),
        unpark: Collection[UUID] = (),
        *,
        even_settled: bool = False,
    ) -> set[Key]:
        """Take the steps that are still free, park what they park, and say which are taken now.

        Nothing is taken of a request that has an outcome, unless `even_settled`. One transaction. Rows are inserted in
        the order of their keys, so that two replicas cannot deadlock.
        """
        if not rows:
            return set()

        async def insert(connection: Connection) -> set[Key]:
            columns = [*_columns(rows), even_settled]
            if parkings:
                won = await connection.fetch(_TAKE_AND_PARK, *columns, *_parked_columns(parkings))
            else:
                won = await connection.fetch(_TAKE, *columns)
            if unpark:
                await connection.execute(_UNPARK, list(unpark))
            return {(record["request_id"], record["position"]) for record in won}

        run = self._postgres.transact if unpark else self._postgres.run
        return await run(insert)

    async def wait(self, duplicates: Sequence[Occurrence], now_ms: int) -> None:
        """Remember where other submissions of a request want its answer."""
        requests = [seen.request_id for seen in duplicates]
        causes = list(zip(*(seen.cause for seen in duplicates), strict=True))
        addresses = [seen.slip.reply.to_json() for seen in duplicates]
        times = [now_ms] * len(duplicates)
        await self._postgres.run(lambda c: c.execute(_WAIT, requests, *causes, times, addresses))

    async def waiters(self, requests: Collection[UUID]) -> dict[UUID, list[ReplyAddress]]:
        """Who else is to be answered when these requests are settled."""
        found = await self._postgres.run(lambda c: c.fetch(_WAITERS, list(requests)))
        waiting: defaultdict[UUID, list[ReplyAddress]] = defaultdict(list)
        for record in found:
            waiting[record["request_id"]].append(ReplyAddress.from_json(record["address"]))
        return waiting

    async def forget(self, before_ms: int) -> int:
        """Delete the steps and waiters of some requests that were settled before; says of how many rows."""
        status = await self._postgres.run(lambda c: c.execute(_FORGET, before_ms, _FORGET_AT_ONCE))
        return int(status.split()[-1])


def _columns(rows: Iterable[Row]) -> list[Sequence[Any]]:
    return list(zip(*[_values(row) for row in sorted(rows, key=_order)], strict=True))


def _order(row: Row) -> tuple[int, int]:
    """That of its key; the number of a request is compared in a tenth of the time."""
    return row.request_id.int, row.position


def _values(row: Row) -> tuple[Any, ...]:
    return (
        row.request_id,
        row.position,
        row.step,
        row.tenant,
        *row.cause,
        row.cause_id,
        row.at_ms,
        row.decision,
        row.reply,
        row.after,
    )


def _parked_columns(parkings: Iterable[Parking]) -> list[Sequence[Any]]:
    ordered = sorted(parkings, key=attrgetter("request_id"))
    return list(zip(*(_parked_values(parking) for parking in ordered), strict=True))


def _parked_values(p: Parking) -> tuple[Any, ...]:
    slip = p.slip
    region = None if slip.verdict.regions is None else ",".join(slip.verdict.regions)
    return (
        p.request_id,
        slip.position,
        p.n,
        slip.tenant,
        slip.route,
        slip.priority.value,
        region,
        str(Lane.of(slip)),
        slip.accepted_at_ms,
        p.not_before_ms,
        slip.deadline_ms,
        p.bytes,
        slip.to_json(),
        p.body,
        p.body_ref,
        p.partition,
    )


def _row(record: asyncpg.Record) -> Row:
    return Row(
        request_id=record["request_id"],
        position=record["position"],
        step=record["step"],
        tenant=record["tenant"],
        cause=Cause(record["cause_topic"], record["cause_partition"], record["cause_offset"]),
        cause_id=record["cause_id"],
        at_ms=record["at_ms"],
        decision=record["decision"],
        reply=record["reply"],
    )
