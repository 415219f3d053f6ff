"""The last look before money is spent: may this call still be made, and does the deployment have room for it?

Pure. What is refused here goes back to the router at once as `not_called`, which is not an attempt: so one deployment
without room does not hold up the others in the same topic.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from allweather.contracts.config import Deployment
from allweather.contracts.slip import Priority, Slip
from allweather.failpoints import Guard
from allweather.provider_worker.limits import Limiter, Places

MAX_QUEUE_AGE_MS = {Priority.INTERACTIVE: 2_000, Priority.BULK: 30_000}
DEFAULT_OUTPUT_TOKENS = 256
"""Reserved for an answer whose length the caller has not limited; settled with the vendor's count."""


class Case(msgspec.Struct, frozen=True):
    """All that the decision looks at."""

    slip: Slip
    deployment: Deployment
    queued_at_ms: int
    """When the dispatch record was written."""
    now_ms: int
    now: float
    """Of the steady clock that the limiter knows."""
    limiter: Limiter
    places: Places

    @property
    def tokens(self) -> int:
        """The estimate to reserve."""
        return self.slip.needs.input_tokens + (self.slip.needs.output_tokens or DEFAULT_OUTPUT_TOKENS)


@dataclass(frozen=True, slots=True)
class Objection:
    """Why the call is not made, and how long the reason lasts where that is known."""

    code: str
    message: str
    retry_after_ms: int | None = None


Check = Callable[[Case], Objection | None]


def _verdict(case: Case) -> Objection | None:
    verdict = case.slip.verdict
    if verdict.effect != "permit":
        return Objection("not_permitted", f"The verdict is {verdict.effect}.")
    if verdict.vendors is not None and case.deployment.vendor not in verdict.vendors:
        return Objection("not_permitted", f"The verdict does not permit the vendor {case.deployment.vendor}.")
    return None


def _region(case: Case) -> Objection | None:
    place, regions = case.deployment.processed_in, case.slip.verdict.regions
    if regions is None or place in regions:
        return None
    return Objection("outside_regions", f"{case.deployment.id} processes in {place}; permitted: {', '.join(regions)}.")


def _deadline(case: Case) -> Objection | None:
    if case.now_ms < case.slip.deadline_ms:
        return None
    return Objection("deadline_passed", "The deadline of the request has passed.")


def _queue_age(case: Case) -> Objection | None:
    age, limit = case.now_ms - case.queued_at_ms, MAX_QUEUE_AGE_MS[case.slip.priority]
    return Objection("queued_too_long", f"Queued for {age} ms, at most {limit}.") if age > limit else None


def _slots(case: Case) -> Objection | None:
    slots = case.limiter.slots
    if slots.free:
        return None
    return Objection("slots_full", f"{slots.in_flight} calls to {case.deployment.id} are in flight.")


def _places(case: Case) -> Objection | None:
    slots = case.limiter.slots
    if case.places.left_to(slots):
        return None
    return Objection("slots_full", f"{slots.in_flight} calls to {case.deployment.id} leave too few places to others.")


def _rate(case: Case) -> Objection | None:
    wait_s = case.limiter.wait_s(case.tokens, case.now)
    if wait_s == 0:
        return None
    return Objection("rate_used_up", f"The rate limit of {case.deployment.id} is used up.", round(wait_s * 1000))


CHECKS: Final[Sequence[tuple[Guard, Check]]] = (
    ("worker.verdict-check", _verdict),
    ("worker.region-check", _region),
    ("worker.deadline-check", _deadline),
    ("worker.age-check", _queue_age),
    ("worker.room-check", _slots),
    ("worker.room-check", _places),
    ("worker.room-check", _rate),
)
"""What keeps a promise (P5) comes before what keeps the queue moving and the vendor well (R6)."""


def objection(case: Case, skips: Callable[[Guard], bool]) -> Objection | None:
    """The first reason not to make the call, None when there is none."""
    for guard, check in CHECKS:
        if not skips(guard) and (found := check(case)):
            return found
    return None
