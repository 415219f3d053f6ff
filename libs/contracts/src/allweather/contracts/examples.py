"""One golden example of each event: a single request, from its submission through a failed attempt to its answer."""

import base64
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import structs

from allweather.contracts import errors, headers, ids, topics
from allweather.contracts.failures import FailureKind, OutcomeKind
from allweather.contracts.model import Value, digest, iso_time
from allweather.contracts.records import (
    AttemptResult,
    CandidateView,
    Delta,
    Dispatch,
    Ended,
    EventType,
    Parked,
    Released,
    RoutingDecision,
    encode,
)
from allweather.contracts.slip import Attempt, Capability, Needs, Priority, ReplyAddress, Slip, Usage, Verdict

_TENANT = "demo"
_T0 = 1_795_000_000_000
_BODY = b'{"model":"triage","messages":[{"role":"user","content":"My espresso machine leaks."}],"stream":true}'
_RESPONSE = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1795000001,"model":"gpt-5.2-2025-12-11","choices":'
    b'[{"index":0,"message":{"role":"assistant","content":"{\\"category\\":\\"repair\\"}"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":21,"completion_tokens":9,"total_tokens":30}}'
)
_ID = ids.request_id(_TENANT, "ticket-4711")
_SECRET = b"golden examples hold no secret"


@dataclass(frozen=True, slots=True)
class Example:
    """A record as it stands on its topic."""

    topic: str
    event: EventType
    headers: dict[str, str]
    value: bytes

    def to_plain(self) -> dict[str, Any]:
        """The record as plain JSON types, for a file that people read."""
        return {
            "topic": self.topic,
            "key": str(_ID),
            "headers": self.headers,
            "value": msgspec.json.decode(self.value),
        }


def _headers(event: EventType, step: str, at_ms: int, **more: str) -> dict[str, str]:
    return {
        headers.CONTENT_TYPE: "application/json",
        headers.CE_SPECVERSION: "1.0",
        headers.CE_ID: ids.event_id(_ID, step),
        headers.CE_SOURCE: "/allweather",
        headers.CE_TYPE: event.value,
        headers.CE_TIME: iso_time(at_ms),
        headers.CE_SUBJECT: str(_ID),
        headers.CE_TENANT: _TENANT,
    } | more


_VERDICT = Verdict(
    effect="permit",
    rules=("residency/personal-eu", "models/demo"),
    regions=("eu", "us"),
    policy_digest=digest(b"policies"),
    decided_at_ms=_T0 + 3,
)
_CLEARED = Slip(
    request_id=_ID,
    tenant=_TENANT,
    route="triage",
    stream=True,
    priority=Priority.BULK,
    data_class="internal",
    accepted_at_ms=_T0,
    deadline_ms=_T0 + 86_400_000,
    body_digest=digest(_BODY),
    needs=Needs(capabilities=(Capability.STREAMING,), input_tokens=34),
    reply=ReplyAddress(
        topic="ai.public.replies.demo.care.v1",
        echo=((headers.CORRELATION_ID, base64.b64encode(b"ticket-4711").decode()),),
    ),
    verdict=_VERDICT,
)
_FAILED = Attempt(
    n=1,
    deployment="azure-openai/gpt-5.2/swedencentral",
    episode=1,
    failure=FailureKind.UNAVAILABLE,
    message="HTTP 503: the service is temporarily unavailable",
    http_status=503,
    dispatched_at_ms=_T0 + 6,
    ended_at_ms=_T0 + 90,
)
_SECOND = structs.replace(_CLEARED, attempts=(_FAILED,), position=2)
_WAITING = structs.replace(_SECOND, parks=1)


def _decision(chosen: str | None, *excluded: tuple[str, str]) -> RoutingDecision:
    views = [CandidateView(deployment=d, excluded=why) for d, why in excluded]
    if chosen:
        views.append(CandidateView(deployment=chosen))
    return RoutingDecision(
        config_digest=digest(b"configuration"),
        now_ms=_T0 + 95,
        seed=7,
        considered=tuple(views),
        chosen=chosen,
        reason="first eligible candidate in the route's order" if chosen else "no candidate is eligible now",
    )


def _dispatch(n: int, deployment: str, at_ms: int, decision: RoutingDecision) -> Dispatch:
    return Dispatch(
        attempt_id=ids.attempt_id(_ID, n),
        n=n,
        deployment=deployment,
        vendor=deployment.partition("/")[0],
        episode=1,
        dispatched_at_ms=at_ms,
        first_token_timeout_ms=10_000,
        decision=decision,
    )


def _result(**outcome: Any) -> AttemptResult:
    return AttemptResult(
        attempt_id=ids.attempt_id(_ID, 2),
        n=2,
        deployment="azure-openai/gpt-5.2/eastus2",
        episode=1,
        dispatched_at_ms=_T0 + 95,
        started_at_ms=_T0 + 97,
        ended_at_ms=_T0 + 1_310,
        **outcome,
    )


def _internal(topic: str, event: EventType, step: str, at_ms: int, slip: Slip, data: Value | None = None) -> Example:
    raw_body = msgspec.Raw(_BODY)
    value = encode(slip, data, raw_body) if data else encode(slip, body=raw_body)
    return Example(topic, event, _headers(event, step, at_ms), value)


def _answered() -> Example:
    result = _result(
        http_status=200,
        first_token_ms=412,
        call_id="7f0d2a9c5b1e4b77",
        released_content=True,
        delta_count=9,
        deltas_digest=digest(b"deltas"),
        finish_reason="stop",
        served_model="gpt-5.2-2025-12-11",
        usage=Usage(input_tokens=21, output_tokens=9),
    )
    value = encode(_SECOND, result, response=msgspec.Raw(_RESPONSE))
    event = EventType.ATTEMPTED
    return Example(topics.RESULTS, event, _headers(event, "attempted-2", _T0 + 1_310), value)


def _submitted() -> Example:
    event = EventType.SUBMITTED
    hints = {headers.REPLY_TOPIC: "ai.public.replies.demo.care.v1", headers.CORRELATION_ID: "ticket-4711"}
    given = _headers(event, "-", _T0) | {headers.CE_ID: "ticket-4711", headers.CE_SOURCE: "/crm"} | hints
    return Example(topics.requests(_TENANT), event, given, _BODY)


def _settled() -> Example:
    event = EventType.SETTLED
    said = {
        headers.OUTCOME: OutcomeKind.ANSWERED.value,
        headers.STATUS: "200",
        headers.MODEL: "gpt-5.2-2025-12-11",
        headers.DEPLOYMENT: "azure-openai/gpt-5.2/eastus2",
        headers.PROCESSED_IN: "us",
        headers.ATTEMPTS: "2",
        headers.COST: "0.000179025",
        headers.PRICES: "in 1.925, out 15.4, cached 0.1925 (catalogue)",
        headers.CALL_ID: "7f0d2a9c5b1e4b77",
        headers.REQUEST_ID: ids.public_id(_ID, _TENANT, _SECRET),
        headers.CORRELATION_ID: "ticket-4711",
    }
    given = _headers(event, "outcome", _T0 + 1_312, **said)
    return Example("ai.public.replies.demo.care.v1", event, given, _RESPONSE)


def _conflicted() -> Example:
    event = EventType.CONFLICTED
    body = errors.render(errors.conflict("This key was used for another body. Use a new key for a new request."))
    given = _headers(event, "conflict", _T0 + 5, **{headers.OUTCOME: "conflict", headers.STATUS: "422"})
    return Example(topics.replies(_TENANT), event, given, body)


def _delta() -> Example:
    event = EventType.DELTA
    data = Delta(
        call_id="7f0d2a9c5b1e4b77",
        sequence=0,
        events=(
            '{"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"{"}}]}',
        ),
        has_content=True,
    )
    return Example(topics.deltas(_TENANT), event, _headers(event, "delta-0", _T0 + 509), data.to_json())


def all_examples() -> tuple[Example, ...]:
    """The life of one request, in order, with what might have happened instead at the end."""
    first = _dispatch(1, "azure-openai/gpt-5.2/swedencentral", _T0 + 6, _decision("azure-openai/gpt-5.2/swedencentral"))
    failed = ("azure-openai/gpt-5.2/swedencentral", "tried")
    second = _dispatch(2, "azure-openai/gpt-5.2/eastus2", _T0 + 95, _decision("azure-openai/gpt-5.2/eastus2", failed))
    parked = Parked(
        n=1, not_before_ms=_T0 + 1_200, reason="no candidate is eligible now", decision=_decision(None, failed)
    )
    expired = Ended(outcome=OutcomeKind.EXPIRED, reason="its deadline passed while it waited", at_ms=_T0 + 86_400_001)
    cancelled = Ended(outcome=OutcomeKind.CANCELLED, reason="the caller cancelled it", at_ms=_T0 + 900)
    lost = Ended(outcome=OutcomeKind.DEAD_LETTERED, reason="a record of it could not be read", at_ms=_T0 + 900)
    dispatch = topics.dispatch("azure-openai")
    after_first = structs.replace(_CLEARED, position=1)
    return (
        _submitted(),
        _internal(topics.CLEARED, EventType.CLEARED, "cleared", _T0 + 3, _CLEARED),
        _internal(dispatch, EventType.DISPATCHED, "attempt-1", _T0 + 6, after_first, first),
        _internal(dispatch, EventType.DISPATCHED, "attempt-2", _T0 + 95, _SECOND, second),
        _delta(),
        _answered(),
        _settled(),
        _internal(topics.PARKED, EventType.PARKED, "parked-1", _T0 + 95, _WAITING, parked),
        _internal(
            topics.RESULTS,
            EventType.RELEASED,
            "released-1",
            _T0 + 1_500,
            _WAITING,
            Released(n=1, released_at_ms=_T0 + 1_500),
        ),
        _internal(topics.RESULTS, EventType.EXPIRED, "expired", _T0 + 86_400_001, _WAITING, expired),
        _internal(topics.RESULTS, EventType.CANCELLED, "cancelled", _T0 + 900, _CLEARED, cancelled),
        _internal(topics.RESULTS, EventType.DEAD_LETTERED, "dead-lettered", _T0 + 900, _CLEARED, lost),
        _conflicted(),
    )
