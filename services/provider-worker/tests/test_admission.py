"""The last look before money is spent."""

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allweather.contracts.config import Concurrency, Deployment
from allweather.contracts.prices import Price
from allweather.contracts.slip import Priority, ReplyAddress, Slip, Verdict
from allweather.failpoints import Failpoints, Guard
from allweather.provider_worker.admission import Case, objection
from allweather.provider_worker.limits import Limiter, Places
from allweather.provider_worker.rates import Allowance, Allowances

NOW_MS = 1_795_000_000_000
SWEDEN = Deployment(
    id="azure-openai/gpt-5.2/swedencentral",
    vendor="azure-openai",
    model="gpt-5.2",
    processed_in="eu",
    endpoint="",
    credential="",
    context_tokens=1000,
    max_output_tokens=100,
    price=Price(input=1, output=1),
)


def case(
    *, limiter: Limiter | None = None, places: Places | None = None, queued_for_ms: int = 0, **changes: Any
) -> Case:
    """A call that nothing speaks against, but for the changes."""
    fields: dict[str, Any] = {
        "request_id": UUID(int=1),
        "tenant": "demo",
        "route": "triage",
        "priority": Priority.INTERACTIVE,
        "accepted_at_ms": NOW_MS,
        "deadline_ms": NOW_MS + 1000,
        "body_digest": "",
        "reply": ReplyAddress(topic=""),
        "verdict": Verdict(effect="permit", regions=("eu",), vendors=("azure-openai",)),
    }
    limits = limiter or Limiter.of(Concurrency(start=1))
    alone = places or Places(1, [limits.slots])
    return Case(Slip(**(fields | changes)), SWEDEN, NOW_MS - queued_for_ms, NOW_MS, 0.0, limits, alone)


def code(given: Case, failpoints: str = "") -> str | None:
    found = objection(given, Failpoints.parse(failpoints).skips)
    return found and found.code


def full() -> Limiter:
    limiter = Limiter.of(Concurrency(start=1))
    limiter.begin(0)
    return limiter


def test_call_that_nothing_speaks_against_is_made() -> None:
    assert code(case()) is None


def test_no_place_was_demanded() -> None:
    assert code(case(verdict=Verdict(effect="permit"))) is None


def busy(calls: int) -> Limiter:
    """A deployment that has room, with so many calls in flight."""
    limiter = Limiter.of(Concurrency(start=64))
    for _ in range(calls):
        limiter.begin(0)
    return limiter


def beside(limiter: Limiter, *others: Limiter, window: int) -> Case:
    """A call to the deployment of `limiter` in a process that also calls others."""
    return case(limiter=limiter, places=Places(window, [each.slots for each in (limiter, *others)]))


FORBIDDEN: list[tuple[Guard, Case, str]] = [
    ("worker.verdict-check", case(verdict=Verdict(effect="deny")), "not_permitted"),
    ("worker.verdict-check", case(verdict=Verdict(effect="invalid")), "not_permitted"),
    ("worker.verdict-check", case(verdict=Verdict(effect="permit", vendors=("openai",))), "not_permitted"),
    ("worker.region-check", case(verdict=Verdict(effect="permit", regions=("us",))), "outside_regions"),
    ("worker.region-check", case(verdict=Verdict(effect="permit", regions=())), "outside_regions"),
    ("worker.deadline-check", case(deadline_ms=NOW_MS), "deadline_passed"),
    ("worker.age-check", case(queued_for_ms=2_001), "queued_too_long"),
    ("worker.room-check", case(limiter=full()), "slots_full"),
    ("worker.room-check", beside(busy(4), busy(0), window=8), "slots_full"),
]


@pytest.mark.parametrize(("guard", "forbidden", "expected"), FORBIDDEN)
def test_forbidden_call_is_not_made(guard: Guard, forbidden: Case, expected: str) -> None:
    assert code(forbidden) == expected


@pytest.mark.parametrize(("guard", "forbidden", "expected"), FORBIDDEN)
def test_each_check_has_one_guard(guard: Guard, forbidden: Case, expected: str) -> None:
    """With the guard off, the forbidden call is made: nothing else stands behind it by accident."""
    assert code(forbidden, f"{guard}=skip") is None


@pytest.mark.parametrize(("priority", "limit_ms"), [(Priority.INTERACTIVE, 2_000), (Priority.BULK, 30_000)])
def test_call_that_has_queued_too_long_is_not_made(priority: Priority, limit_ms: int) -> None:
    assert code(case(priority=priority, queued_for_ms=limit_ms)) is None
    assert code(case(priority=priority, queued_for_ms=limit_ms + 1)) == "queued_too_long"


def test_a_deployment_may_hold_as_many_places_as_are_free() -> None:
    assert code(beside(busy(2), busy(2), window=8)) is None
    assert code(beside(busy(2), busy(3), window=8)) == "slots_full"


def test_a_deployment_that_is_alone_may_hold_all_places() -> None:
    assert code(beside(busy(7), window=8)) is None


@given(window=st.integers(4, 64), silent=st.integers(1, 8))
def test_silent_deployments_leave_places_to_the_others(window: int, silent: int) -> None:
    """Whatever comes for those that never answer, their own limits as large as you like."""
    holes, well = [busy(0) for _ in range(silent)], busy(0)
    for hole in holes * window:
        if code(beside(hole, *(each for each in holes if each is not hole), well, window=window)) is None:
            hole.begin(0)

    left = window - sum(hole.slots.in_flight for hole in holes)

    assert left >= 1 + (window - 1) // (silent + 1)
    assert left == 1 or code(beside(well, *holes, window=window)) is None


def test_used_up_rate_says_when_to_come_back() -> None:
    limiter = Limiter.of(Concurrency())
    limiter.correct(Allowances(requests=Allowance(60, 0)), now=0)

    found = objection(case(limiter=limiter), Failpoints().skips)

    assert found is not None
    assert (found.code, found.retry_after_ms) == ("rate_used_up", 1000)


def test_promises_come_before_room() -> None:
    """What is forbidden is said to be forbidden, however full the deployment is."""
    assert code(case(limiter=full(), deadline_ms=NOW_MS)) == "deadline_passed"
