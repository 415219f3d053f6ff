"""The router's tables on the simulated Postgres, statement by statement as `router.adapters` writes them."""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any
from uuid import UUID

from msgspec.structs import replace
from simulator.postgres import Postgres, Transaction

from allweather.contracts.slip import Priority, ReplyAddress
from allweather.router.events import Occurrence
from allweather.router.parking import Grant, Lane, Parking, Publish, Queue, Waiting
from allweather.router.space import Occupied
from allweather.router.steps import OUTCOME_POSITION, Key, Row

Place = tuple[UUID, int]
"""Of the queue: request, number of the parking."""


class Tables:
    """What is committed. The adapters of all processes share it."""

    def __init__(self) -> None:
        self.steps: dict[Key, Row] = {}
        self.parked: dict[Place, Parking] = {}
        self.waiters: dict[UUID, dict[tuple[str, int, int], ReplyAddress]] = {}


class SimStepTable:
    """`router.steps` and `router.waiters`: see `router.adapters.steps.StepTable`."""

    def __init__(self, postgres: Postgres, tables: Tables) -> None:
        self._postgres, self._tables = postgres, tables

    async def load(self, keys: Collection[Key]) -> dict[Key, Row]:
        steps = self._tables.steps
        return await self._postgres.query(lambda: {key: steps[key] for key in keys if key in steps})

    async def take(
        self,
        rows: Collection[Row],
        parkings: Collection[Parking] = (),
        unpark: Collection[UUID] = (),
        *,
        even_settled: bool = False,
    ) -> set[Key]:
        if not rows:
            return set()

        def insert(transaction: Transaction) -> Coroutine[Any, Any, set[Key]]:
            return self._insert(transaction, rows, parkings, even_settled=even_settled)

        if not unpark:
            return await self._postgres.statement(insert)

        async def both(transaction: Transaction) -> set[Key]:
            taken: set[Key] = await self._within(transaction, lambda: insert(transaction))
            own = [(p.request_id, p.n) for p in parkings if p.request_id in unpark]
            await self._within(transaction, lambda: self._unpark(transaction, unpark, own))
            return taken

        return await self._postgres.transact(both)

    async def wait(self, duplicates: Sequence[Occurrence], now_ms: int) -> None:
        def insert() -> None:
            for seen in duplicates:
                self._tables.waiters.setdefault(seen.request_id, {}).setdefault(seen.cause, seen.slip.reply)

        await self._postgres.query(insert)

    async def waiters(self, requests: Collection[UUID]) -> dict[UUID, list[ReplyAddress]]:
        waiters = self._tables.waiters
        return await self._postgres.query(lambda: {r: list(waiters[r].values()) for r in requests if r in waiters})

    async def _within(self, transaction: Transaction, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        return await self._postgres.within(transaction, work)

    async def _insert(
        self, transaction: Transaction, rows: Iterable[Row], parkings: Iterable[Parking], *, even_settled: bool
    ) -> set[Key]:
        """`_TAKE`, `_TAKE_AND_PARK`: first the rows that lead, then those that count only together with one of them.

        What is settled is what the statement's snapshot shows: what is committed when it begins.
        """
        ordered = sorted(rows, key=attrgetter("key"))
        settled = {row.request_id for row in ordered if not even_settled and self._settled(row.request_id)}
        leading = [row for row in ordered if row.after is None and row.request_id not in settled]
        won = await self._won(transaction, leading)
        won |= await self._won(transaction, [row for row in ordered if (row.request_id, row.after) in won])
        queued = {(p.request_id, p.n): p for p in parkings if (p.request_id, p.slip.position) in won}
        transaction.on_commit.append(lambda: self._queue(queued))
        return won

    def _settled(self, request: UUID) -> bool:
        return (request, OUTCOME_POSITION) in self._tables.steps

    async def _won(self, transaction: Transaction, rows: Iterable[Row]) -> set[Key]:
        won: set[Key] = set()
        for row in rows:
            if await self._claim(transaction, row.key):
                won.add(row.key)
                transaction.on_commit.append(lambda row=row: self._store(row))
        return won

    async def _claim(self, transaction: Transaction, key: Key) -> bool:
        """`ON CONFLICT DO NOTHING`: waits for whoever holds the key, and is skipped when they commit."""
        await self._pause()
        while key not in self._tables.steps:
            holder = self._postgres.holder(("step", key))
            if holder is None:
                self._postgres.lock(transaction, ("step", key))
                return True
            if holder is transaction:
                return False
            await self._postgres.wait(transaction, holder)
        return False

    async def _unpark(self, transaction: Transaction, requests: Collection[UUID], own: Iterable[Place]) -> None:
        """`DELETE` waits for rows that are being released, and then finds them gone or not. It sees its `own`, too."""
        for place in own:
            transaction.on_commit.append(lambda place=place: self._forget(place))
        for place in [place for place in self._tables.parked if place[0] in requests]:
            while (holder := self._postgres.holder(("parked", place))) not in (None, transaction):
                assert holder is not None
                await self._postgres.wait(transaction, holder)
            if place in self._tables.parked:
                self._postgres.lock(transaction, ("parked", place))
                transaction.on_commit.append(lambda place=place: self._forget(place))

    def _store(self, row: Row) -> None:
        self._tables.steps[row.key] = row if row.after is None else replace(row, after=None)

    def _queue(self, queued: Mapping[Place, Parking]) -> None:
        for place, parking in queued.items():
            self._tables.parked.setdefault(place, parking)

    def _forget(self, place: Place) -> None:
        self._tables.parked.pop(place, None)

    async def _pause(self) -> None:
        """Between two rows others may come, unless this statement runs at one stroke."""
        chance = self._postgres.net.chance
        if self._postgres.gradual and chance.happens(0.5):
            await asyncio.sleep(chance.latency())


class SimParkedQueue:
    """`router.parked`: see `router.adapters.parked.ParkedQueue`."""

    def __init__(self, postgres: Postgres, tables: Tables) -> None:
        self._postgres, self._tables = postgres, tables

    async def queues(self) -> list[Queue]:
        return await self._postgres.query(lambda: list(dict.fromkeys(map(_queue_of, self._tables.parked.values()))))

    async def due(self, queues: Collection[Queue], now_ms: int) -> list[Queue]:
        def find() -> list[Queue]:
            due = [p for p in self._tables.parked.values() if p.not_before_ms <= now_ms < p.slip.deadline_ms]
            found = set(map(_queue_of, due))
            return [queue for queue in queues if queue in found]

        return await self._postgres.query(find)

    async def counts(self) -> list[Occupied]:
        parked = self._tables.parked
        return await self._postgres.query(
            lambda: [Occupied(p.slip.tenant, p.slip.priority.value, 1, p.bytes) for p in parked.values()]
        )

    async def let_go(
        self, grants: Sequence[Grant], mine: Collection[int], now_ms: int, publish: Publish
    ) -> list[Waiting]:
        return await self._out(lambda: [place for grant in grants for place in self._due(grant, mine, now_ms)], publish)

    async def expire(self, now_ms: int, limit: int, publish: Publish) -> list[Waiting]:
        return await self._out(lambda: self._expired(now_ms, limit), publish)

    async def _out(self, find: Callable[[], list[Place]], publish: Publish) -> list[Waiting]:
        async def work(transaction: Transaction) -> list[Waiting]:
            waiting: list[Waiting] = await self._postgres.within(transaction, lambda: self._lock(transaction, find()))
            if waiting:
                await publish(waiting)
                await self._postgres.within(transaction, lambda: self._delete(transaction, waiting))
            return waiting

        return await self._postgres.transact(work)

    def _lock(self, transaction: Transaction, places: Iterable[Place]) -> list[Waiting]:
        """`FOR UPDATE`."""
        found: list[Waiting] = []
        for place in places:
            self._postgres.lock(transaction, ("parked", place))
            p = self._tables.parked[place]
            found.append(Waiting(p.request_id, p.n, p.slip.tenant, p.slip.to_json(), p.body, p.body_ref))
        return found

    def _delete(self, transaction: Transaction, waiting: Iterable[Waiting]) -> None:
        for each in waiting:
            place = each.request_id, each.n
            transaction.on_commit.append(lambda place=place: self._gone(place))

    def _gone(self, place: Place) -> None:
        del self._tables.parked[place]

    def _due(self, grant: Grant, mine: Collection[int], now_ms: int) -> list[Place]:
        queues = {Queue(grant.priority, lane, grant.tenant) for lane in grant.lanes}
        due = [
            (p.request_id, p.n)
            for p in sorted(self._free(), key=_age, reverse=grant.priority is Priority.INTERACTIVE)
            if _queue_of(p) in queues
            and p.not_before_ms <= now_ms < p.slip.deadline_ms
            and (p.partition is None or p.partition in mine)
        ]
        return due[: grant.limit]

    def _expired(self, now_ms: int, limit: int) -> list[Place]:
        late = sorted((p for p in self._free() if p.slip.deadline_ms <= now_ms), key=lambda p: p.slip.deadline_ms)
        return [(p.request_id, p.n) for p in late[:limit]]

    def _free(self) -> Iterable[Parking]:
        """`SKIP LOCKED`."""
        return (p for place, p in self._tables.parked.items() if self._postgres.holder(("parked", place)) is None)


def _queue_of(parking: Parking) -> Queue:
    return Queue(parking.slip.priority, Lane.of(parking.slip), parking.slip.tenant)


def _age(parking: Parking) -> int:
    return parking.slip.accepted_at_ms
