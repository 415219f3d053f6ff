"""Installations with one rule taken out. The simulator must find out what the rule was good for."""

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from types import ModuleType
from typing import Any, Final

from simulator import careless
from simulator.climate import FAIR, OUTAGE, STEADY, STREAMS
from simulator.services import Servers, Services
from simulator.world import Installation

from allweather.failpoints import Failpoints, Guard
from allweather.provider_worker.adapters import claims
from allweather.provider_worker.claims import Claim, Meeting, meet
from allweather.router import arbitration, routing
from allweather.router.events import Occurrence
from allweather.router.steps import Row


def without(guard: Guard) -> Callable[[Servers], Services]:
    """Services in which a guard is switched off by its failpoint."""

    def assembled(servers: Servers) -> Services:
        services = Services(servers)
        services.failpoints = Failpoints.parse(f"{guard}=skip")
        return services

    return assembled


def changed(module: ModuleType, **values: Any) -> Callable[[], AbstractContextManager[None]]:
    """While schedules run, these names of a decision module stand for something else."""

    @contextmanager
    def context() -> Generator[None]:
        kept = {name: getattr(module, name) for name in values}
        for name, value in values.items():
            setattr(module, name, value)
        try:
            yield
        finally:
            for name, value in kept.items():
                setattr(module, name, value)

    return context


def _calls_twins(held: Claim, mine: Claim) -> Meeting:
    meeting = meet(held, mine)
    return Meeting.TAKE_OVER if meeting is Meeting.DUPLICATE else meeting


def _never(_duplicate: Occurrence, _verdict: Row) -> bool:
    return False


def _same(_seen: Occurrence) -> bool:
    return True


def _in_place(plan: arbitration.Plan) -> arbitration.Plan:
    return plan


_NO_LIMITS = changed(routing, ATTEMPTS_AN_EPISODE=1_000, ATTEMPTS_A_GROUP=1_000, DISPATCHES_AN_EPISODE=1_000)
_ANY_ORDER = changed(arbitration, _settles_last=_same, _settled_first=_in_place)

RULES: Final[Mapping[str, Installation]] = {
    "R1-first-row": Installation(without("router.first-row-wins")),
    "R1-same-cause": Installation(without("router.same-cause-replays")),
    "R1-outcome-stops": Installation(without("router.outcome-stops-dispatch")),
    "R2-by-a-record": Installation(careless.SettlesWithoutARecord, OUTAGE),
    "R2-dead-letters": Installation(careless.PutsAside),
    "R2-settles-first": Installation(patched=_ANY_ORDER),
    "R3": Installation(patched=_NO_LIMITS),
    "R4-acknowledged": Installation(careless.DeletesFirst, OUTAGE),
    "R4-queued": Installation(careless.QueuesNothing, OUTAGE),
    "R5-claims": Installation(careless.ClaimsNothing),
    "R5-done": Installation(careless.ForgetsItIsDone),
    "R5-lease": Installation(careless.RenewsNothing, FAIR),
    "R5-same-attempt": Installation(patched=changed(claims, meet=_calls_twins)),
    "R6-age": Installation(without("worker.age-check")),
    "R6-room": Installation(without("worker.room-check"), STEADY),
    "R7": Installation(careless.StandsIdle),
    "R8-named": Installation(without("ingest.named-call"), STREAMS),
    "R8-pinned": Installation(without("ingest.pinned-call"), STREAMS),
    "R8-whole": Installation(without("ingest.whole-answer"), STREAMS),
    "R10-address": Installation(careless.TrustsAddresses, FAIR),
    "R10-answer-kept": Installation(careless.RemembersNoAnswer),
    "R10-conflict": Installation(patched=changed(arbitration, conflicts=_never)),
    "R10-key": Installation(careless.CountsSubmissions),
    "R10-refused": Installation(careless.RefusesTheSpoiled),
    "R10-waiters": Installation(careless.WaitsForNobody),
    "P5-deadline": Installation(without("worker.deadline-check")),
    "P6": Installation(without("messaging.commit-after-ack")),
}
"""What is left of the installation when a rule is taken out, and where its loss shows soonest."""
