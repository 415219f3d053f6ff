"""What happens next to a request: a pure function from its slip and an event to its next step.

A vendor's failure never ends a request (R3): it leads to the next candidate, or to waiting. Only an answer, a refusal,
an invalid or too long request, a deny, a full queue, a dead letter, its deadline or its caller end it.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from msgspec import structs

from allweather.contracts import ids
from allweather.contracts.config import Configuration, Deployment
from allweather.contracts.errors import for_outcome, render
from allweather.contracts.failures import FailureKind, OutcomeKind
from allweather.contracts.records import (
    NOTHING,
    AttemptResult,
    Charge,
    Dispatch,
    Ended,
    Parked,
    Released,
    RoutingDecision,
    Settled,
)
from allweather.contracts.slip import Attempt, Priority, Slip, Usage
from allweather.router import routing, unservable
from allweather.router.events import Cleared, Occurrence
from allweather.router.health import Health
from allweather.router.steps import OUTCOME_POSITION, Step

BACKOFF_BASE_MS: Final = 500
BACKOFF_CAP_MS: Final = 60_000
BULK_PATIENCE: Final = 6
"""Nobody watches a bulk request: it may wait this much longer for its first token."""
REMEMBERED_ATTEMPTS: Final = 64
"""A slip must stay small however many days an outage lasts."""


class Situation(msgspec.Struct, frozen=True):
    """Everything that a decision takes besides the request itself."""

    config: Configuration
    health: Health
    now_ms: int
    parking_full: Callable[[str], bool] = lambda _tenant: False
    """Whether the tenant may not park another request."""


def advance(seen: Occurrence, now: Situation) -> Step:
    """The next step of the request in `seen`. Which record may take it is decided elsewhere (`arbitration`)."""
    slip = after(seen)
    match seen.event:
        case Cleared():
            return _cleared(slip, now)
        case AttemptResult() as result:
            return _attempted(slip, result, bytes(seen.response), now)
        case Released():
            return _next(slip, now)
        case Ended(outcome=outcome, reason=reason):
            return _ended(slip, outcome, reason, now)


def after(seen: Occurrence) -> Slip:
    """The slip with what happened written into it, one position further."""
    slip = seen.slip
    position = slip.position + 1
    match seen.event:
        case AttemptResult() as result:
            attempts = _remembered((*slip.attempts, _attempt(result)), slip.episode)
            return structs.replace(slip, position=position, attempts=attempts)
        case Released():
            return structs.replace(slip, position=position, episode=slip.episode + 1)
        case _:
            return structs.replace(slip, position=position)


def parked(slip: Slip) -> Slip:
    """The slip of a request that is being parked."""
    return structs.replace(slip, parks=slip.parks + 1)


def _cleared(slip: Slip, now: Situation) -> Step:
    verdict = slip.verdict
    if verdict.effect == "permit":
        return _next(slip, now)
    outcome = OutcomeKind.DENIED if verdict.effect == "deny" else OutcomeKind.INVALID
    return _ended(slip, outcome, verdict.reason or "", now, code=verdict.code, param=verdict.param)


def _attempted(slip: Slip, result: AttemptResult, response: bytes, now: Situation) -> Step:
    match result.failure:
        case None:
            return _answered(slip, result, OutcomeKind.ANSWERED, response, now)
        case FailureKind.REFUSED if response != bytes(NOTHING):
            return _answered(slip, result, OutcomeKind.REFUSED, response, now)
        case FailureKind.REFUSED:
            return _ended(slip, OutcomeKind.REFUSED, _vendor_says(result), now, code="content_filter")
        case FailureKind.INVALID:
            return _ended(slip, OutcomeKind.INVALID, _vendor_says(result), now, code=result.vendor_code)
        case FailureKind.TOO_LONG if _too_long_again(slip):
            return _ended(slip, OutcomeKind.TOO_LONG, _vendor_says(result), now)
        case _:
            return _next(slip, now)


def _answered(slip: Slip, result: AttemptResult, outcome: OutcomeKind, response: bytes, now: Situation) -> Step:
    """The vendor's own words, passed through: an answer, or a refusal, which is an answer of its kind."""
    deployment = _deployment(result.deployment, now.config)
    charged = charges(slip, now.config)
    settled = Settled(
        outcome=outcome,
        status=200,
        deployment=result.deployment,
        model=result.served_model or (deployment.model if deployment else None),
        processed_in=deployment.processed_in if deployment else None,
        attempts=_calls(slip.attempts),
        call_id=result.call_id,
        usage=result.usage,
        cost_usd=_sum(charged),
        charges=charged,
    )
    return Step(slip, settled, response)


def _next(slip: Slip, now: Situation) -> Step:
    """Dispatch to the best candidate; without one, wait; or say that no waiting helps."""
    if now.now_ms >= slip.deadline_ms or slip.position >= OUTCOME_POSITION - 1:
        return _ended(slip, OutcomeKind.EXPIRED, "The request's deadline passed before a model answered.", now)
    seed = routing.seed_of(slip.request_id, slip.position)
    decision = routing.choose(slip, now.config, now.health, now_ms=now.now_ms, seed=seed)
    if decision.chosen is not None:
        return _dispatched(slip, decision, now)
    if hopeless := routing.never(decision):
        return _unservable(slip, hopeless, now)
    return _parked(slip, decision, now)


def _dispatched(slip: Slip, decision: RoutingDecision, now: Situation) -> Step:
    assert decision.chosen is not None
    deployment = now.config.deployment(decision.chosen)
    n = slip.next_attempt
    dispatch = Dispatch(
        attempt_id=ids.attempt_id(slip.request_id, n),
        n=n,
        deployment=deployment.id,
        vendor=deployment.vendor,
        episode=slip.episode,
        dispatched_at_ms=now.now_ms,
        first_token_timeout_ms=_patience_ms(slip, now.config),
        probe=routing.is_probe(decision),
        decision=decision,
    )
    return Step(slip, dispatch)


def _parked(slip: Slip, decision: RoutingDecision, now: Situation) -> Step:
    fresh_from_kafka = slip.parks == 0 and slip.reply.door is None
    if fresh_from_kafka and now.parking_full(slip.tenant):
        return _ended(slip, OutcomeKind.OVER_LIMIT, _FULL, now)
    waiting = parked(slip)
    not_before = max(now.now_ms + _backoff_ms(slip, decision.seed), _asked_to_wait_until(slip, decision))
    return Step(
        waiting,
        Parked(
            n=waiting.parks,
            not_before_ms=min(not_before, slip.deadline_ms),
            reason=decision.reason,
            decision=decision,
        ),
    )


def _unservable(slip: Slip, reasons: frozenset[str], now: Situation) -> Step:
    """No candidate can ever serve it: an answer now is kinder than waiting until the deadline."""
    told = unservable.explained(slip, reasons, now.config)
    return _ended(slip, told.outcome, told.reason, now, code=told.code, param=told.param)


def _ended(
    slip: Slip, outcome: OutcomeKind, reason: str, now: Situation, *, code: str | None = None, param: str | None = None
) -> Step:
    error = for_outcome(outcome, reason, code=code, param=param)
    charged = charges(slip, now.config)
    settled = Settled(
        outcome=outcome, status=error.status, attempts=_calls(slip.attempts), cost_usd=_sum(charged), charges=charged
    )
    return Step(slip, settled, render(error, slip.dialect))


def _sum(charged: Sequence[Charge]) -> float | None:
    """USD in all; None when nothing was billed."""
    return round(sum([charge.usd for charge in charged]), 9) if charged else None


def charges(slip: Slip, config: Configuration) -> tuple[Charge, ...]:
    """What every attempt cost that a vendor bills, by the prices of the configuration."""
    billed = [(a.n, a.usage, _deployment(a.deployment, config)) for a in slip.attempts if a.usage]
    return tuple([_charge(n, usage, deployment) for n, usage, deployment in billed if deployment])


def _charge(n: int, usage: Usage, deployment: Deployment) -> Charge:
    rates = deployment.price.rates(usage)
    price = f"{rates.told} ({deployment.price.source})"
    return Charge(n=n, deployment=deployment.id, usd=rates.cost(usage), price=price)


def _attempt(result: AttemptResult) -> Attempt:
    """What a slip keeps of a result: the fields that both have."""
    return msgspec.convert(result, Attempt, from_attributes=True)


def _remembered(attempts: Sequence[Attempt], episode: int) -> tuple[Attempt, ...]:
    """The attempts that later decisions, the cost and the caller need; the oldest others are forgotten."""
    spare = len(attempts) - REMEMBERED_ATTEMPTS
    if spare <= 0:
        return tuple(attempts)
    needless = [a.n for a in attempts if a.episode != episode and not a.usage and a.failure not in _LESSONS]
    forgotten = frozenset(needless[:spare])
    return tuple(a for a in attempts if a.n not in forgotten)


_LESSONS: Final = frozenset({FailureKind.TOO_LONG, FailureKind.UNSUPPORTED})
"""Failures that say of a candidate what no waiting changes."""


def _calls(attempts: Sequence[Attempt]) -> int:
    return len([a for a in attempts if a.failure is None or a.failure.is_attempt])


def _too_long_again(slip: Slip) -> bool:
    return sum(1 for a in slip.attempts if a.failure is FailureKind.TOO_LONG) > 1


def _backoff_ms(slip: Slip, seed: int) -> int:
    """Full jitter: anything from nothing to a limit that doubles with each parking."""
    limit = min(BACKOFF_CAP_MS, BACKOFF_BASE_MS << min(slip.parks, 16))
    return seed % (limit + 1)


def _asked_to_wait_until(slip: Slip, decision: RoutingDecision) -> int:
    """When the first candidate may be called again that is not excluded for ever; 0 when one has not asked to wait."""
    possible = [c.deployment for c in decision.considered if c.excluded not in routing.FOR_EVER]
    until: dict[str, int] = {}
    for attempt in slip.attempts:
        until[attempt.deployment] = max(until.get(attempt.deployment, 0), routing.retry_after_until(attempt))
    return min((until.get(deployment, 0) for deployment in possible), default=0)


def _patience_ms(slip: Slip, config: Configuration) -> int:
    route = config.route(slip.route)
    seconds = route.timeouts.first_token if route else 0
    return round(seconds * 1000) * (1 if slip.priority is Priority.INTERACTIVE else BULK_PATIENCE)


def _vendor_says(result: AttemptResult) -> str:
    return result.message or f"The model's vendor answered: {result.vendor_code or result.failure}."


def _deployment(deployment_id: str, config: Configuration) -> Deployment | None:
    """The deployment, unless it has left the configuration since it was called."""
    try:
        return config.deployment(deployment_id)
    except KeyError:
        return None


_FULL: Final = (
    "Too many of your requests wait for a model already, and none can answer now. Try again later; "
    "nothing of this request was kept."
)
