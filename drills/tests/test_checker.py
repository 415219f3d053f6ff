"""A clean run shows no violation; each way of breaking a promise is found, under its name, for its request."""

from dataclasses import replace

import pytest

from allweather.contracts import ids, topics
from allweather.drills.checker import check
from allweather.drills.evidence import (
    Cleared,
    Dispatched,
    Evidence,
    Outcome,
    Position,
    Received,
    Reply,
    Resulted,
    Step,
    Submission,
    VendorCall,
)

REQUEST = ids.request_id("demo", "ticket-1")
ATTEMPT = ids.attempt_id(REQUEST, 1)
SUBMITTED = Position(topics.requests("demo"), 0, 0)
CLEARED = Position(topics.CLEARED, 0, 0)
DISPATCHED = Position(topics.dispatch("anthropic"), 0, 0)
RESULTED = Position(topics.RESULTS, 0, 0)
WORKER = "provider-worker.anthropic"

CLEAN = Evidence(
    submissions=(Submission(REQUEST, "demo", "http", "b", "accepted", 0),),
    received=(Received(REQUEST, 200, "hello"),),
    submitted={SUBMITTED: REQUEST},
    cleared=(Cleared(REQUEST, CLEARED, True, frozenset({"eu"}), None, 60_000),),
    dispatched=(Dispatched(REQUEST, ATTEMPT, 1, DISPATCHED, "anthropic/x", "anthropic", "eu", 1, 100),),
    resulted=(Resulted(REQUEST, RESULTED, "ai.request.attempted", ATTEMPT, 1),),
    replies=(Reply(REQUEST, Position(topics.DOOR, 0, 0), "e", False, "r", 300),),
    outcomes=(Outcome(REQUEST, "demo", "answered", "r", "hello", 300),),
    steps=(Step(REQUEST, 0, "verdict", CLEARED), Step(REQUEST, 1, "attempt-1", CLEARED)),
    calls=(VendorCall(ATTEMPT, "anthropic", 110),),
    committed={
        ("policy", *SUBMITTED[:2]): 1,
        ("router", *CLEARED[:2]): 1,
        ("router", *RESULTED[:2]): 1,
        (WORKER, *DISPATCHED[:2]): 1,
    },
)


def _broken(evidence: Evidence) -> set[str]:
    return {v.promise for v in check(evidence)}


def test_a_clean_run_shows_no_violation() -> None:
    assert check(CLEAN) == []


@pytest.mark.parametrize(
    ("promise", "evidence"),
    [
        pytest.param("P1", replace(CLEAN, outcomes=(), replies=(), received=()), id="no outcome"),
        pytest.param("P1", replace(CLEAN, replies=()), id="no reply"),
        pytest.param("P1", replace(CLEAN, outcomes=(replace(CLEAN.outcomes[0], settled_at_ms=66_000),)), id="late"),
        pytest.param("P2", replace(CLEAN, outcomes=CLEAN.outcomes * 2), id="two outcomes"),
        pytest.param(
            "P2", replace(CLEAN, replies=(*CLEAN.replies, replace(CLEAN.replies[0], digest="s"))), id="two answers"
        ),
        pytest.param(
            "P2", replace(CLEAN, replies=(*CLEAN.replies, replace(CLEAN.replies[0], event_id="f"))), id="two reply ids"
        ),
        pytest.param("P2", replace(CLEAN, received=(Received(REQUEST, 200, "goodbye"),)), id="caller misled"),
        pytest.param(
            "P3",
            replace(
                CLEAN,
                submitted={},
                submissions=(replace(CLEAN.submissions[0], state="refused"),),
            ),
            id="refused, yet settled",
        ),
        pytest.param(
            "P3",
            replace(CLEAN, submissions=(*CLEAN.submissions, replace(CLEAN.submissions[0], body_digest="c"))),
            id="two bodies under one key",
        ),
        pytest.param("P4", replace(CLEAN, calls=(*CLEAN.calls, VendorCall(None, "anthropic", 120))), id="unknown call"),
        pytest.param("P4", replace(CLEAN, calls=(VendorCall(ATTEMPT, "anthropic", 90),)), id="called too early"),
        pytest.param("P4", replace(CLEAN, calls=CLEAN.calls * 7), id="too many calls"),
        pytest.param("P4", replace(CLEAN, calls=CLEAN.calls * 2), id="repeated without a crash"),
        pytest.param(
            "P4",
            replace(CLEAN, dispatched=(replace(CLEAN.dispatched[0], timestamp_ms=301),), calls=()),
            id="dispatched after the outcome",
        ),
        pytest.param(
            "P4",
            replace(CLEAN, dispatched=(*CLEAN.dispatched, replace(CLEAN.dispatched[0], digest="other"))),
            id="decided twice",
        ),
        pytest.param("P5", replace(CLEAN, cleared=(replace(CLEAN.cleared[0], permit=False),)), id="denied"),
        pytest.param(
            "P5", replace(CLEAN, cleared=(replace(CLEAN.cleared[0], regions=frozenset({"us"})),)), id="wrong region"
        ),
        pytest.param(
            "P5", replace(CLEAN, cleared=(replace(CLEAN.cleared[0], vendors=frozenset({"openai"})),)), id="wrong vendor"
        ),
        pytest.param("P5", replace(CLEAN, calls=(VendorCall(ATTEMPT, "anthropic", 62_000),)), id="after the deadline"),
        pytest.param("P6", replace(CLEAN, cleared=(), dispatched=(), calls=()), id="no verdict"),
        pytest.param("P6", replace(CLEAN, steps=(), outcomes=(), replies=(), received=()), id="no decision"),
        pytest.param(
            "P6",
            replace(
                CLEAN,
                dispatched=(),
                calls=(),
                outcomes=(),
                replies=(),
                received=(),
                committed={("router", *CLEARED[:2]): 1},
            ),
            id="decided, not dispatched",
        ),
        pytest.param("P6", replace(CLEAN, resulted=(), outcomes=(), replies=(), received=()), id="no result"),
    ],
)
def test_a_broken_promise_is_found(promise: str, evidence: Evidence) -> None:
    assert promise in _broken(evidence)


def test_an_uncommitted_record_is_no_breach() -> None:
    pending = replace(CLEAN, outcomes=(), replies=(), received=(), steps=(), committed={})

    assert _broken(pending) == {"P1"}


def test_a_crash_explains_a_repeated_call() -> None:
    assert check(replace(CLEAN, calls=CLEAN.calls * 2, worker_crashes=1)) == []


def test_time_that_we_ourselves_were_away_is_not_held_against_a_deadline() -> None:
    late = replace(CLEAN, outcomes=(replace(CLEAN.outcomes[0], settled_at_ms=66_000),), away_ms=2_000)

    assert check(late) == []


def test_a_conflict_reply_is_not_an_answer() -> None:
    conflict = replace(CLEAN.replies[0], conflict=True, digest="c", event_id="c")

    assert check(replace(CLEAN, replies=(*CLEAN.replies, conflict))) == []
