from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from allweather.contracts import ids
from allweather.contracts.config import Configuration
from allweather.contracts.failures import FailureKind, OutcomeKind
from allweather.contracts.records import AttemptResult, Dispatch, Ended, Parked, Released, Settled
from allweather.contracts.slip import (
    Attempt,
    Capability,
    Dialect,
    Needs,
    Parameter,
    Priority,
    ReplyAddress,
    Slip,
    Usage,
    Verdict,
)
from allweather.router import lifecycle, routing
from allweather.router.events import Cause, Cleared, Event, Occurrence
from allweather.router.health import Condition
from allweather.router.lifecycle import Situation, advance
from allweather.router.steps import OUTCOME_POSITION, Step
from allweather.router.testing.health import FixedHealth
from allweather.router.testing.records import BODY, RESPONSE, T0, a_slip, configuration, deployment

CONFIG = configuration()
NOW = T0 + 1_000
OPEN = Condition("open", "breaker_open")
ALL_OPEN = FixedHealth(dict.fromkeys(["alpha/one", "beta/two", "gamma/three"], OPEN))


def happened(slip: Slip, event: Event, response: bytes = b"null") -> Occurrence:
    return Occurrence(
        cause=Cause("t", 0, 0),
        cause_id="c",
        slip=slip,
        slip_json=slip.to_json(),
        event=event,
        body=msgspec.Raw(BODY),
        response=msgspec.Raw(response),
    )


def situation(health: FixedHealth | None = None, config: Configuration = CONFIG, *, full: bool = False) -> Situation:
    return Situation(config, health or FixedHealth(), NOW, lambda _tenant: full)


def result(failure: FailureKind | None, deployment_id: str = "alpha/one", n: int = 1, **seen: Any) -> AttemptResult:
    given_: dict[str, Any] = {
        "attempt_id": ids.attempt_id(UUID(int=1), n),
        "n": n,
        "deployment": deployment_id,
        "episode": 1,
        "dispatched_at_ms": T0,
        "started_at_ms": T0,
        "ended_at_ms": NOW,
        "failure": failure,
    }
    return AttemptResult(**(given_ | seen))


def dispatch(step: Step) -> Dispatch:
    assert isinstance(step.decision, Dispatch)
    return step.decision


def parking(step: Step) -> Parked:
    assert isinstance(step.decision, Parked)
    return step.decision


def outcome(step: Step) -> tuple[OutcomeKind, int, Any]:
    assert isinstance(step.decision, Settled)
    assert step.reply is not None
    return step.decision.outcome, step.decision.status, msgspec.json.decode(step.reply)


def test_a_permit_leads_to_the_first_attempt():
    step = advance(happened(a_slip(), Cleared()), situation())

    assert (step.label, step.position) == ("attempt-1", 1)
    assert dispatch(step).attempt_id == ids.attempt_id(a_slip().request_id, 1)
    assert step.slip.position == 1


@pytest.mark.parametrize(
    ("effect", "code", "kind", "status"),
    [
        ("deny", "model_not_allowed", OutcomeKind.DENIED, 403),
        ("invalid", "invalid_json", OutcomeKind.INVALID, 400),
        ("invalid", "model_not_found", OutcomeKind.INVALID, 404),
    ],
)
def test_a_verdict_against_the_request_is_its_outcome(effect: Any, code: str, kind: OutcomeKind, status: int):
    verdict = Verdict(effect=effect, code=code, reason="Because of this.", param="model")

    step = advance(happened(a_slip(verdict=verdict), Cleared()), situation())

    error = {"message": "Because of this.", "code": code, "param": "model"}
    assert outcome(step)[:2] == (kind, status)
    assert error.items() <= outcome(step)[2]["error"].items()
    assert step.position == OUTCOME_POSITION


def test_an_answer_is_the_outcome_as_the_vendor_gave_it():
    usage = Usage(input_tokens=1_000, output_tokens=500)

    step = advance(happened(a_slip(), result(None, call_id="c1", usage=usage), RESPONSE), situation())

    assert step.reply == RESPONSE
    assert isinstance(step.decision, Settled)
    assert step.decision.outcome is OutcomeKind.ANSWERED
    assert (step.decision.deployment, step.decision.model, step.decision.call_id) == ("alpha/one", "one", "c1")
    assert (step.decision.attempts, step.decision.cost_usd) == (1, 0.002)


def test_the_cost_covers_every_attempt_that_a_vendor_bills():
    broken = result(FailureKind.INTERRUPTED, usage=Usage(input_tokens=1_000, output_tokens=100))
    slip = lifecycle.after(happened(a_slip(), broken))

    answered = result(None, "beta/two", n=2, usage=Usage(input_tokens=1_000, output_tokens=500))
    step = advance(happened(slip, answered, RESPONSE), situation())

    assert isinstance(step.decision, Settled)
    assert step.decision.cost_usd == 0.0032
    assert [(c.n, c.deployment, c.usd, c.price) for c in step.decision.charges] == [
        (1, "alpha/one", 0.0012, "in 1, out 2 (catalogue)"),
        (2, "beta/two", 0.002, "in 1, out 2 (catalogue)"),
    ]


def test_an_answer_after_the_deadline_is_still_an_answer():
    step = advance(happened(a_slip(deadline_ms=T0), result(None), RESPONSE), situation())

    assert outcome(step)[0] is OutcomeKind.ANSWERED


@pytest.mark.parametrize(
    "kind",
    [
        FailureKind.UNAVAILABLE,
        FailureKind.RATE_LIMITED,
        FailureKind.QUOTA_EXHAUSTED,
        FailureKind.AUTH_FAILED,
        FailureKind.MISCONFIGURED,
        FailureKind.INTERRUPTED,
        FailureKind.NOT_CALLED,
        FailureKind.WORKER_LOST,
    ],
)
def test_a_vendor_failure_leads_to_the_next_candidate(kind: FailureKind):
    step = advance(happened(a_slip(position=1), result(kind)), situation())

    assert dispatch(step).deployment == "beta/two"
    assert (step.label, step.position) == ("attempt-2", 2)
    assert step.slip.attempts[0].failure is kind


@pytest.mark.parametrize(
    ("kind", "expected", "status"),
    [(FailureKind.INVALID, OutcomeKind.INVALID, 400), (FailureKind.REFUSED, OutcomeKind.REFUSED, 400)],
)
def test_what_another_vendor_must_not_be_asked_ends_with_the_vendors_words(
    kind: FailureKind, expected: OutcomeKind, status: int
):
    step = advance(happened(a_slip(), result(kind, message="Not this.")), situation())

    assert outcome(step)[:2] == (expected, status)
    assert outcome(step)[2]["error"]["message"] == "Not this."


def test_a_refusal_with_words_of_its_own_is_passed_through():
    step = advance(happened(a_slip(), result(FailureKind.REFUSED, call_id="c1"), RESPONSE), situation())

    assert step.reply == RESPONSE
    assert outcome(step)[:2] == (OutcomeKind.REFUSED, 200)


def test_too_long_is_tried_once_more_in_a_larger_window():
    config = configuration(deployment("alpha/one"), deployment("beta/two", context_tokens=1_000_000))
    first = advance(happened(a_slip(), result(FailureKind.TOO_LONG)), situation(config=config))
    again = advance(happened(first.slip, result(FailureKind.TOO_LONG, "beta/two", 2)), situation(config=config))

    assert dispatch(first).deployment == "beta/two"
    assert outcome(again)[:2] == (OutcomeKind.TOO_LONG, 400)


def test_too_long_ends_when_no_window_is_larger_and_waits_when_it_is_only_unwell():
    larger = configuration(deployment("alpha/one"), deployment("beta/two", context_tokens=1_000_000))
    ill = FixedHealth({"beta/two": OPEN})

    ends = advance(happened(a_slip(), result(FailureKind.TOO_LONG)), situation())
    waits = advance(happened(a_slip(), result(FailureKind.TOO_LONG)), situation(ill, larger))

    assert outcome(ends)[0] is OutcomeKind.TOO_LONG
    assert waits.label == "parked-1"


def test_without_a_healthy_candidate_a_request_is_parked():
    step = advance(happened(a_slip(), Cleared()), situation(ALL_OPEN))

    assert (step.label, step.position, step.slip.parks) == ("parked-1", 1, 1)
    assert NOW <= parking(step).not_before_ms <= NOW + 500
    assert "3 breaker_open" in parking(step).reason


def test_a_release_begins_a_new_episode():
    slip = a_slip(position=4, parks=1, attempts=(failed("alpha/one", 1), failed("beta/two", 2)))

    step = advance(happened(slip, Released(n=1, released_at_ms=NOW)), situation())

    assert step.slip.episode == 2
    assert (dispatch(step).deployment, dispatch(step).n, dispatch(step).episode) == ("alpha/one", 3, 2)


def failed(deployment_id: str, n: int, episode: int = 1, **changes: Any) -> Attempt:
    return Attempt(
        n=n,
        deployment=deployment_id,
        episode=episode,
        failure=changes.pop("failure", FailureKind.UNAVAILABLE),
        dispatched_at_ms=T0,
        ended_at_ms=T0,
        **changes,
    )


def test_retry_after_is_the_floor_of_the_wait():
    one = configuration(deployment("alpha/one"))

    step = advance(happened(a_slip(), result(FailureKind.RATE_LIMITED, retry_after_ms=30_000)), situation(config=one))

    assert parking(step).not_before_ms == NOW + 30_000


def test_a_wait_for_one_vendor_does_not_hold_up_another():
    """One candidate asked to wait for ten minutes, the other is only unwell for the moment."""
    ill = FixedHealth({"beta/two": OPEN, "gamma/three": OPEN})

    step = advance(happened(a_slip(), result(FailureKind.RATE_LIMITED, retry_after_ms=600_000)), situation(ill))

    assert parking(step).not_before_ms <= NOW + 500


def test_nothing_is_parked_beyond_its_deadline():
    step = advance(happened(a_slip(deadline_ms=NOW + 10, parks=9), Cleared()), situation(ALL_OPEN))

    assert parking(step).not_before_ms <= NOW + 10


@pytest.mark.parametrize("event", [Cleared(), result(FailureKind.UNAVAILABLE), Released(n=1, released_at_ms=NOW)])
def test_a_request_whose_deadline_has_passed_expires(event: Event):
    step = advance(happened(a_slip(deadline_ms=NOW), event), situation())

    assert outcome(step)[:2] == (OutcomeKind.EXPIRED, 504)


@pytest.mark.parametrize(
    ("kind", "status"),
    [(OutcomeKind.EXPIRED, 504), (OutcomeKind.CANCELLED, 409), (OutcomeKind.DEAD_LETTERED, 500)],
)
def test_an_end_from_outside_is_the_outcome(kind: OutcomeKind, status: int):
    step = advance(happened(a_slip(), Ended(outcome=kind, reason="So it is.", at_ms=NOW)), situation())

    assert outcome(step)[:2] == (kind, status)
    assert outcome(step)[2]["error"]["message"] == "So it is."


def test_a_full_queue_ends_a_new_request_of_the_kafka_door_and_no_other():
    door = ReplyAddress(topic="ai.internal.door.v1", partition=0, door="d")

    new = advance(happened(a_slip(), Cleared()), situation(ALL_OPEN, full=True))
    accepted_over_http = advance(happened(a_slip(reply=door), Cleared()), situation(ALL_OPEN, full=True))
    parked_before = advance(happened(a_slip(parks=1), Cleared()), situation(ALL_OPEN, full=True))

    assert outcome(new)[:2] == (OutcomeKind.OVER_LIMIT, 429)
    assert accepted_over_http.label == "parked-1"
    assert parked_before.label == "parked-2"


@pytest.mark.parametrize(
    ("changes", "kind", "status", "code"),
    [
        ({"route": "nowhere"}, OutcomeKind.INVALID, 404, "model_not_found"),
        ({"verdict": Verdict(effect="permit", regions=("mars",))}, OutcomeKind.DENIED, 403, "no_permitted_deployment"),
        ({"needs": Needs(capabilities=(Capability.VISION,))}, OutcomeKind.INVALID, 400, "unsupported_capability"),
    ],
)
def test_what_can_never_be_served_is_said_at_once(changes: dict[str, Any], kind: OutcomeKind, status: int, code: str):
    step = advance(happened(a_slip(**changes), Cleared()), situation())

    assert outcome(step)[:2] == (kind, status)
    assert outcome(step)[2]["error"]["code"] == code


def test_a_candidate_that_cannot_do_it_leads_to_the_next_one_and_to_invalid_when_none_can():
    """The end names the vendor's sentence, and the deployments of other routes that could be asked."""
    able = deployment("delta/four")
    known = configuration(*CONFIG.deployments, able)
    config = Configuration(
        vendors=known.vendors, deployments=known.deployments, routes=CONFIG.routes, tenants=CONFIG.tenants
    )
    now = situation(config=config)

    step = advance(happened(a_slip(), result(FailureKind.UNSUPPORTED)), now)
    assert dispatch(step).deployment == "beta/two"
    step = advance(happened(step.slip, result(FailureKind.UNSUPPORTED, "beta/two", 2)), now)
    assert dispatch(step).deployment == "gamma/three"
    step = advance(
        happened(step.slip, result(FailureKind.UNSUPPORTED, "gamma/three", 3, message="It has no stop.")), now
    )

    kind, status, body = outcome(step)
    assert (kind, status, body["error"]["code"]) == (OutcomeKind.INVALID, 400, "unsupported_parameter")
    assert body["error"]["message"].endswith("These could: delta/four. It has no stop.")


@pytest.mark.parametrize("dialect", Dialect)
def test_what_no_candidate_can_say_names_the_field_in_the_caller_s_words(dialect: Dialect):
    vendors = tuple(vendor.model_copy(update={"parameters": ()}) for vendor in CONFIG.vendors)
    config = Configuration(
        vendors=vendors, deployments=CONFIG.deployments, routes=CONFIG.routes, tenants=CONFIG.tenants
    )
    now = situation(config=config)
    needs = Needs(parameters={Parameter.STOP: "stop_sequences"})

    kind, status, body = outcome(advance(happened(a_slip(needs=needs, dialect=dialect), Cleared()), now))

    assert (kind, status) == (OutcomeKind.INVALID, 400)
    assert "'stop_sequences'" in body["error"]["message"]
    assert "No deployment of the catalogue can" in body["error"]["message"]
    assert "stop_sequences" in (body["error"].get("param"), body["error"].get("details", {}).get("param"))


def test_interactive_requests_fail_over_soon_and_bulk_ones_are_more_patient():
    interactive = advance(happened(a_slip(priority=Priority.INTERACTIVE), Cleared()), situation())
    bulk = advance(happened(a_slip(priority=Priority.BULK), Cleared()), situation())

    assert dispatch(interactive).first_token_timeout_ms == 10_000
    assert dispatch(bulk).first_token_timeout_ms == 60_000


def test_a_slip_stays_small_however_long_an_outage_lasts():
    """What later decisions need is kept: this episode, what was billed, which windows were too small; and the count."""
    billed, refuted = failed("alpha/one", 1, usage=Usage(input_tokens=1)), failed("beta/two", 2, failure="too_long")
    many = [failed("gamma/three", n, episode=n) for n in range(3, 400)]
    slip = a_slip(episode=400, attempts=(billed, refuted, *many[-60:]))

    for n in range(400, 420):
        slip = lifecycle.after(happened(slip, result(FailureKind.UNAVAILABLE, n=n, episode=400)))

    assert len(slip.attempts) == lifecycle.REMEMBERED_ATTEMPTS
    assert slip.attempts[:2] == (billed, refuted)
    assert len(slip.this_episode) == 20
    assert slip.next_attempt == 420
    assert len(slip.to_json()) < 64 * 1024


ends = st.sampled_from([OutcomeKind.EXPIRED, OutcomeKind.CANCELLED, OutcomeKind.DEAD_LETTERED])
events = st.one_of(
    st.just(Cleared()),
    st.builds(result, st.sampled_from([None, *FailureKind]), st.sampled_from(["alpha/one", "beta/two", "left/since"])),
    st.builds(Released, n=st.integers(1, 9), released_at_ms=st.just(NOW)),
    st.builds(Ended, outcome=ends, reason=st.text(), at_ms=st.just(NOW)),
)


def numbered(attempts: list[tuple[str, int]]) -> tuple[Attempt, ...]:
    return tuple(failed(i, n, episode) for n, (i, episode) in enumerate(attempts, 1))


past = st.tuples(st.sampled_from(["alpha/one", "gamma/three", "left/since"]), st.integers(1, 5))
slips = st.builds(
    a_slip,
    position=st.integers(0, 40),
    parks=st.integers(0, 12),
    episode=st.integers(1, 5),
    deadline_ms=st.integers(NOW - 10, NOW + 100_000),
    attempts=st.lists(past, max_size=14).map(
        lambda p: tuple(failed(i, n, episode) for n, (i, episode) in enumerate(p, 1))
    ),
)
healths = st.sampled_from([FixedHealth(), ALL_OPEN, FixedHealth(repeats=False), FixedHealth({"alpha/one": OPEN})])
TERMINAL = {FailureKind.REFUSED, FailureKind.INVALID, FailureKind.TOO_LONG}


@given(slips, events, healths)
def test_every_event_has_a_next_step_and_only_the_permitted_ends_end(slip: Slip, event: Event, health: FixedHealth):
    """R3 as a law: with time left, a vendor's failure never ends a request."""
    if isinstance(event, AttemptResult):
        event = structs.replace(event, n=slip.next_attempt, episode=slip.episode)

    step = advance(happened(slip, event, RESPONSE), situation(health))

    assert step.slip.position == slip.position + 1
    match step.decision:
        case Settled(outcome=kind):
            answered = isinstance(event, AttemptResult) and event.failure in (None, *TERMINAL)
            assert answered or isinstance(event, Ended) or (kind is OutcomeKind.EXPIRED and slip.deadline_ms <= NOW)
            assert step.reply is not None
        case Dispatch() as call:
            assert slip.deadline_ms > NOW
            assert call.n == len(step.slip.attempts) + 1
        case Parked() as waiting:
            assert NOW <= waiting.not_before_ms <= slip.deadline_ms
            assert waiting.not_before_ms <= NOW + max(60_000, routing.RETRY_AFTER_CAP_MS)


@given(slips, events, healths)
def test_a_decision_made_again_is_the_same(slip: Slip, event: Event, health: FixedHealth):
    seen = happened(slip, event, RESPONSE)

    assert advance(seen, situation(health)) == advance(seen, situation(health))
