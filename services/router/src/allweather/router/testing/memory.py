"""The tables in memory, with the promises of the real ones: the tests of the router run on both."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from allweather.contracts.slip import Priority, ReplyAddress
from allweather.router.events import Occurrence
from allweather.router.parking import Grant, Lane, Parking, Publish, Queue, Waiting
from allweather.router.space import Occupied
from allweather.router.steps import OUTCOME_POSITION, Key, Row


class MemoryTables:
    """Steps, waiters and the queue in memory: first row wins, and a row leaves the queue only once it is published."""

    def __init__(self) -> None:
        self.rows: dict[Key, Row] = {}
        self.parked: dict[tuple[UUID, int], Parking] = {}
        self.waiting: defaultdict[UUID, dict[object, ReplyAddress]] = defaultdict(dict)

    async def load(self, keys: Collection[Key]) -> dict[Key, Row]:
        return {key: self.rows[key] for key in keys if key in self.rows}

    async def take(
        self,
        rows: Collection[Row],
        parkings: Collection[Parking] = (),
        unpark: Collection[UUID] = (),
        *,
        even_settled: bool = False,
    ) -> set[Key]:
        settled = {row.request_id for row in rows if not even_settled and self._settled(row.request_id)}
        taken = self._insert(row for row in rows if row.after is None and row.request_id not in settled)
        taken |= self._insert(row for row in rows if (row.request_id, row.after) in taken)
        self.parked |= {(p.request_id, p.n): p for p in parkings if (p.request_id, p.slip.position) in taken}
        for key in [key for key in self.parked if key[0] in unpark]:
            del self.parked[key]
        return taken

    def _settled(self, request: UUID) -> bool:
        return (request, OUTCOME_POSITION) in self.rows

    def _insert(self, rows: Iterable[Row]) -> set[Key]:
        won = {row.key: row for row in rows if row.key not in self.rows}
        self.rows |= won
        return set(won)

    async def wait(self, duplicates: Sequence[Occurrence], now_ms: int) -> None:  # noqa: ARG002 - nothing is pruned
        for seen in duplicates:
            self.waiting[seen.request_id][seen.cause] = seen.slip.reply

    async def waiters(self, requests: Collection[UUID]) -> dict[UUID, list[ReplyAddress]]:
        return {r: list(self.waiting[r].values()) for r in requests if r in self.waiting}

    async def queues(self) -> list[Queue]:
        found = {Queue(p.slip.priority, Lane.of(p.slip), p.slip.tenant): None for p in self.parked.values()}
        return list(found)

    async def due(self, queues: Collection[Queue], now_ms: int) -> list[Queue]:
        due = [p for p in self.parked.values() if p.not_before_ms <= now_ms < p.slip.deadline_ms]
        found = {Queue(p.slip.priority, Lane.of(p.slip), p.slip.tenant) for p in due}
        return [queue for queue in queues if queue in found]

    async def let_go(
        self, grants: Sequence[Grant], mine: Collection[int], now_ms: int, publish: Publish
    ) -> list[Waiting]:
        return await self._out([p for grant in grants for p in self._due(grant, mine, now_ms)], publish)

    async def expire(self, now_ms: int, limit: int, publish: Publish) -> list[Waiting]:
        late = [p for p in self.parked.values() if p.slip.deadline_ms <= now_ms]
        return await self._out(sorted(late, key=lambda p: p.slip.deadline_ms)[:limit], publish)

    async def counts(self) -> list[Occupied]:
        return [Occupied(p.slip.tenant, p.slip.priority.value, 1, p.bytes) for p in self.parked.values()]

    def _due(self, grant: Grant, mine: Collection[int], now_ms: int) -> Iterable[Parking]:
        queues = {Queue(grant.priority, lane, grant.tenant) for lane in grant.lanes}
        due = [
            p
            for p in sorted(self.parked.values(), key=_age, reverse=grant.priority is Priority.INTERACTIVE)
            if Queue(p.slip.priority, Lane.of(p.slip), p.slip.tenant) in queues
            and p.not_before_ms <= now_ms < p.slip.deadline_ms
            and (p.partition is None or p.partition in mine)
        ]
        return due[: grant.limit]

    async def _out(self, parkings: Sequence[Parking], publish: Publish) -> list[Waiting]:
        waiting = [Waiting(p.request_id, p.n, p.slip.tenant, p.slip.to_json(), p.body, p.body_ref) for p in parkings]
        if waiting:
            await publish(waiting)
        for each in waiting:
            del self.parked[each.request_id, each.n]
        return waiting


def _age(parking: Parking) -> int:
    return parking.slip.accepted_at_ms
