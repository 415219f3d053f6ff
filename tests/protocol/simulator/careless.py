"""Services in which one thing is left out."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from msgspec.structs import replace
from simulator.kafka import SimBroker
from simulator.postgres import Transaction
from simulator.services import Services
from simulator.settings import SECRET
from simulator.tables import SimParkedQueue, SimStepTable

from allweather.contracts import headers
from allweather.contracts.failures import OutcomeKind
from allweather.contracts.records import NOTHING, Ended, decode
from allweather.contracts.slip import Slip
from allweather.messaging import BatchHandler, Outputs, Record
from allweather.messaging.middleware.dead_letter import no_outcome
from allweather.provider_worker.adapters.claims import RedisClaims
from allweather.provider_worker.claims import Claim
from allweather.router import lifecycle
from allweather.router.events import Cause, Occurrence
from allweather.router.health import HealthBoard
from allweather.router.lifecycle import Situation
from allweather.router.outbox import Outbox
from allweather.router.parking import Parking, Publish, Waiting
from allweather.router.release import Assignment, ParkedRequests, Release
from allweather.router.steps import OUTCOME, OUTCOME_POSITION, Key, Row
from allweather.runtime.clock import Clock
from allweather.runtime.redis import RedisGuard


class SettlesWithoutARecord(Services):
    """R2 taken out: the sweeper settles what has expired by itself, and no record is behind it."""

    def release(
        self, parked: ParkedRequests, board: HealthBoard, broker: SimBroker, clock: Clock, assignment: Assignment
    ) -> Release:
        steps = SimStepTable(self.servers.postgres, self.servers.tables)
        return _Settling(parked, board, broker, clock, assignment, steps, self.servers.payloads)


class _Settling(Release):
    def __init__(
        self,
        parked: ParkedRequests,
        board: HealthBoard,
        broker: SimBroker,
        clock: Clock,
        assignment: Assignment,
        steps: SimStepTable,
        payloads: Any,
    ) -> None:
        super().__init__(parked, board, payloads, broker, clock, assignment)
        self._steps, self._outbox = steps, Outbox(broker.partitions, SECRET)

    async def _publish_expired(self, waiting: Sequence[Waiting]) -> None:
        for each in waiting:
            slip = Slip.from_json(each.slip)
            row = self._outcome(slip, each.slip)
            if await self._steps.take([row]):
                await self._publisher.publish([self._outbox.answer(row, slip.reply)])

    def _outcome(self, slip: Slip, slip_json: bytes) -> Row:
        now_ms, nowhere = self._clock.now_ms(), Cause("", 0, 0)
        late = Ended(outcome=OutcomeKind.EXPIRED, reason="It is late.", at_ms=now_ms)
        seen = Occurrence(nowhere, "", slip, slip_json, late, NOTHING, NOTHING)
        step = lifecycle.advance(seen, Situation(self._board.config, self._board, now_ms))
        said = step.decision.to_json()
        return Row(slip.request_id, OUTCOME_POSITION, OUTCOME, slip.tenant, nowhere, "", now_ms, said, step.reply)


class DeletesFirst(Services):
    """R4 taken out: a row leaves the queue before the record that lets it go is acknowledged."""

    def parked(self) -> SimParkedQueue:
        return _Deleting(self.servers.postgres, self.servers.tables)


class _Deleting(SimParkedQueue):
    async def _out(self, find: Any, publish: Publish) -> list[Waiting]:
        async def work(transaction: Transaction) -> list[Waiting]:
            waiting: list[Waiting] = await self._postgres.within(transaction, lambda: self._lock(transaction, find()))
            await self._postgres.within(transaction, lambda: self._delete(transaction, waiting))
            return waiting

        gone = await self._postgres.transact(work)
        if gone:
            await publish(gone)
        return gone


class ClaimsNothing(Services):
    """R5 taken out: whoever is given a call makes it."""

    def claims(self, redis: RedisGuard) -> RedisClaims:
        return _Careless(redis)


class _Careless(RedisClaims):
    async def acquire(self, claim: Claim) -> bool:
        return True


class StandsIdle(Services):
    """R7 taken out: nobody bounces the calls of a fleet that is gone."""

    stands_in = False


class CountsSubmissions(Services):
    """R10 taken out: the id of a request is its record's place, whatever key the caller gave."""

    def clear(self) -> BatchHandler:
        clear = super().clear()

        async def keyless(records: Sequence[Record]) -> Outputs:
            return await clear([_without_key(record) for record in records])

        return keyless


class RefusesTheSpoiled(Services):
    """R10 taken out: a record that makes no sense is passed over."""

    def clear(self) -> BatchHandler:
        clear = super().clear()

        async def choosy(records: Sequence[Record]) -> Outputs:
            outputs = await clear(records)
            good = [m for m in outputs.messages if decode(m.value).read_slip().verdict.effect != "invalid"]
            return Outputs(good)

        return choosy


class WaitsForNobody(Services):
    """R10 taken out: a second submission of a request under way is forgotten."""

    def steps(self) -> SimStepTable:
        return _NoWaiters(self.servers.postgres, self.servers.tables)


class _NoWaiters(SimStepTable):
    async def wait(self, duplicates: Sequence[Occurrence], now_ms: int) -> None:
        """Nobody is remembered."""


class RemembersNoAnswer(Services):
    """R10 taken out: a second submission of a settled request gets no stored bytes."""

    def steps(self) -> SimStepTable:
        return _NoAnswers(self.servers.postgres, self.servers.tables)


class _NoAnswers(SimStepTable):
    async def load(self, keys: Collection[Key]) -> dict[Key, Row]:
        only_outcomes = all(position == OUTCOME_POSITION for _, position in keys)  # for duplicates alone
        return {} if only_outcomes else await super().load(keys)


class QueuesNothing(Services):
    """R4 taken out: the record says that a request is parked, and no row does."""

    def steps(self) -> SimStepTable:
        return _NoQueue(self.servers.postgres, self.servers.tables)


class _NoQueue(SimStepTable):
    async def take(
        self,
        rows: Collection[Row],
        parkings: Collection[Parking] = (),
        unpark: Collection[UUID] = (),
        *,
        even_settled: bool = False,
    ) -> set[Key]:
        return await super().take(rows, (), unpark, even_settled=even_settled)


class TrustsAddresses(Services):
    """R10 taken out: an answer goes to its address, whether that exists or not."""

    def outbox(self, broker: SimBroker) -> Outbox:
        return Outbox(lambda _: 1_000, SECRET)


class PutsAside(Services):
    """R2 taken out: a dispatch that cannot be handled is put aside, and nothing ends its request."""

    end_of_bugs = staticmethod(no_outcome)


class ForgetsItIsDone(Services):
    """R5 taken out: a call that is over is nobody's."""

    def claims(self, redis: RedisGuard) -> RedisClaims:
        return _Forgetful(redis)


class _Forgetful(RedisClaims):
    def done(self, claim: Claim) -> None:
        self.abandon(claim)


class RenewsNothing(Services):
    """R5 taken out: a lease lapses while its call is under way."""

    def claims(self, redis: RedisGuard) -> RedisClaims:
        return _Lapsing(redis)


class _Lapsing(RedisClaims):
    async def _renew(self) -> None:
        """Never."""


def _without_key(record: Record) -> Record:
    return replace(record, headers=tuple(header for header in record.headers if header[0] != headers.CE_ID))
