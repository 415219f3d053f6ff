"""Installations with one rule taken out. The simulator must find out what the rule was good for."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from msgspec.structs import replace
from simulator.climate import OUTAGE, STEADY, STREAMS
from simulator.kafka import SimBroker
from simulator.postgres import Transaction
from simulator.services import Servers, Services
from simulator.settings import SECRET
from simulator.tables import SimParkedQueue, SimStepTable
from simulator.world import Installation

from allweather.contracts import headers
from allweather.contracts.failures import OutcomeKind
from allweather.contracts.records import NOTHING, Ended, decode
from allweather.contracts.slip import Slip
from allweather.failpoints import Failpoints, Guard
from allweather.messaging import BatchHandler, Outputs, Record
from allweather.provider_worker.adapters.claims import RedisClaims
from allweather.provider_worker.claims import Claim
from allweather.router import lifecycle, routing
from allweather.router.events import Cause, Occurrence
from allweather.router.health import HealthBoard
from allweather.router.lifecycle import Situation
from allweather.router.outbox import Outbox
from allweather.router.parking import Publish, Waiting
from allweather.router.release import ParkedRequests, Release
from allweather.router.steps import OUTCOME, OUTCOME_POSITION, Row
from allweather.runtime.clock import Clock
from allweather.runtime.redis import RedisGuard


def without(guard: Guard) -> Callable[[Servers], Services]:
    """Services in which a guard is switched off by its failpoint."""

    def assembled(servers: Servers) -> Services:
        services = Services(servers)
        services.failpoints = Failpoints.parse(f"{guard}=skip")
        return services

    return assembled


class SettlesWithoutARecord(Services):
    """R2 taken out: the sweeper settles what has expired by itself, and no record is behind it."""

    def release(self, parked: ParkedRequests, board: HealthBoard, broker: SimBroker, clock: Clock) -> Release:
        steps = SimStepTable(self.servers.postgres, self.servers.tables)
        return _Settling(parked, board, broker, clock, steps, self.servers.payloads)


class _Settling(Release):
    def __init__(
        self,
        parked: ParkedRequests,
        board: HealthBoard,
        broker: SimBroker,
        clock: Clock,
        steps: SimStepTable,
        payloads: Any,
    ) -> None:
        super().__init__(parked, board, payloads, broker, clock)
        self._steps, self._outbox = steps, Outbox(broker.partitions, SECRET)

    async def _publish_expired(self, waiting: Sequence[Waiting]) -> None:
        for each in waiting:
            slip = Slip.model_validate_json(each.slip)
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


@contextmanager
def no_limits() -> Generator[None]:
    """R3 taken out: an episode has no end, and a group no limit."""
    names = ("ATTEMPTS_AN_EPISODE", "ATTEMPTS_A_GROUP", "DISPATCHES_AN_EPISODE")
    kept = {name: getattr(routing, name) for name in names}
    for name in names:
        setattr(routing, name, 1_000)
    try:
        yield
    finally:
        for name, value in kept.items():
            setattr(routing, name, value)


def _without_key(record: Record) -> Record:
    return replace(record, headers=tuple(header for header in record.headers if header[0] != headers.CE_ID))


RULES: Final[Mapping[str, Installation]] = {
    "R1-first-row": Installation(without("router.first-row-wins")),
    "R1-same-cause": Installation(without("router.same-cause-replays")),
    "R1-outcome-stops": Installation(without("router.outcome-stops-dispatch")),
    "R2": Installation(SettlesWithoutARecord, OUTAGE),
    "R3": Installation(patched=no_limits),
    "R4": Installation(DeletesFirst, OUTAGE),
    "R5": Installation(ClaimsNothing),
    "R6-age": Installation(without("worker.age-check")),
    "R6-room": Installation(without("worker.room-check"), STEADY),
    "R7": Installation(StandsIdle),
    "R8-named": Installation(without("ingest.named-call"), STREAMS),
    "R8-pinned": Installation(without("ingest.pinned-call"), STREAMS),
    "R8-whole": Installation(without("ingest.whole-answer"), STREAMS),
    "R10-key": Installation(CountsSubmissions),
    "R10-refused": Installation(RefusesTheSpoiled),
    "P5-deadline": Installation(without("worker.deadline-check")),
    "P6": Installation(without("messaging.commit-after-ack")),
}
"""What is left of the installation when a rule is taken out, and where its loss shows soonest."""
