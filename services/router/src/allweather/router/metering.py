"""What the router counts."""

from collections import Counter
from collections.abc import Iterable

from allweather.contracts.config import Configuration
from allweather.contracts.records import AttemptResult, Dispatch, Settled
from allweather.contracts.slip import Priority as SlipPriority
from allweather.router.arbitration import Carried
from allweather.router.breaker import Status
from allweather.router.health import HealthBoard
from allweather.router.space import Occupied
from allweather.telemetry.metrics import (
    ATTEMPTS,
    BREAKER_STATE,
    DISPATCHES,
    OUTCOMES,
    PARKED,
    AttemptEnd,
    Deployment,
    OutcomeEnd,
    Priority,
)

_STATES: dict[Status, int] = {"closed": 0, "half_open": 1, "open": 2, "out": 2}


def count_attempt(result: AttemptResult, config: Configuration) -> None:
    """An attempt came back."""
    try:
        vendor = config.deployment(result.deployment).vendor
    except KeyError:  # it has left the configuration since it was called
        vendor = "unknown"
    ATTEMPTS.inc(AttemptEnd(vendor, result.deployment, result.failure or "answered"))


def count_steps(carried: Iterable[Carried]) -> None:
    """Steps were taken."""
    for each in carried:
        match each.step.decision:
            case Dispatch(vendor=vendor, deployment=deployment):
                DISPATCHES.inc(Deployment(vendor, deployment))
            case Settled(outcome=outcome):
                OUTCOMES.inc(OutcomeEnd(each.row.tenant, outcome))
            case _:
                pass


def show_breakers(board: HealthBoard, now_ms: int) -> None:
    """How each deployment is."""
    for deployment in board.config.deployments:
        state = board.condition(deployment, now_ms).state
        BREAKER_STATE.set(Deployment(deployment.vendor, deployment.id), _STATES[state])


def show_parked(counts: Iterable[Occupied]) -> None:
    """How many requests wait, by class."""
    waiting = Counter[str]()
    for each in counts:
        waiting[each.priority] += each.requests
    for priority in SlipPriority:
        PARKED.set(Priority(priority.value), waiting[priority.value])
