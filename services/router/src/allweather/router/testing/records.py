"""A small configuration, and records as policy and workers write them."""

from collections.abc import Sequence
from typing import Any

import msgspec

from allweather.contracts import headers, ids, topics
from allweather.contracts.config import Concurrency, Configuration, Deployment, Route, Tenant, Timeouts, Vendor
from allweather.contracts.failures import FailureKind, OutcomeKind
from allweather.contracts.model import digest, iso_time
from allweather.contracts.prices import Price
from allweather.contracts.records import (
    NOTHING,
    AttemptResult,
    Dispatch,
    Ended,
    EventType,
    decode,
    encode,
)
from allweather.contracts.slip import Capability, Priority, ReplyAddress, Slip, Usage, Verdict
from allweather.messaging import Message, Record

T0 = 1_795_000_000_000
BODY = b'{"model":"triage","messages":[{"role":"user","content":"The parcel is late."}]}'
RESPONSE = b'{"choices":[{"message":{"role":"assistant","content":"It arrives on Monday."}}]}'


def deployment(deployment_id: str, **changes: Any) -> Deployment:
    """A deployment `<vendor>/<model>[/<region>]` of a small catalogue."""
    vendor, model, *_ = deployment_id.split("/")
    given: dict[str, Any] = {
        "id": deployment_id,
        "vendor": vendor,
        "model": model,
        "endpoint": "http://127.0.0.1",
        "credential": f"{vendor.upper()}_KEY",
        "capabilities": (Capability.STREAMING,),
        "context_tokens": 100_000,
        "max_output_tokens": 8_000,
        "price": Price(input=1, output=2),
        "concurrency": Concurrency(start=8, max=64),
    }
    return Deployment(**(given | changes))


def configuration(*deployments: Deployment, tenants: Sequence[Tenant] = (Tenant(id="demo"),)) -> Configuration:
    """A route `triage` over the deployments, in their order; by default three vendors with one model each."""
    known = deployments or tuple(deployment(i) for i in ("alpha/one", "beta/two", "gamma/three"))
    vendors = dict.fromkeys(d.vendor for d in known)
    return Configuration(
        vendors=tuple(Vendor(id=v, api=v, provider_name=v, simulator_path=f"/{v}") for v in vendors),
        deployments=known,
        routes=(Route(id="triage", candidates=tuple(d.id for d in known), timeouts=Timeouts()),),
        tenants=tuple(tenants),
    )


def a_slip(key: str = "ticket-1", **changes: Any) -> Slip:
    """A permitted request as policy hands it over."""
    tenant = changes.get("tenant", "demo")
    given: dict[str, Any] = {
        "request_id": ids.request_id(tenant, key),
        "tenant": tenant,
        "route": "triage",
        "priority": Priority.BULK,
        "accepted_at_ms": T0,
        "deadline_ms": T0 + 86_400_000,
        "body_digest": digest(BODY),
        "reply": ReplyAddress(topic=topics.replies(tenant)),
        "verdict": Verdict(effect="permit"),
    }
    return Slip(**(given | changes))


def cleared(slip: Slip, body: bytes = BODY, *, submission: str = "0") -> Message:
    """Policy's verdict on a submission."""
    return _message(
        topics.CLEARED, EventType.CLEARED, slip, f"cleared/{submission}", encode(slip, body=msgspec.Raw(body))
    )


def attempted(dispatched: Message | Record, failure: FailureKind | None = None, **seen: Any) -> Message:
    """How a worker reports the end of a dispatched attempt: an answer, unless it failed."""
    envelope = decode(dispatched.value)
    call = envelope.read(Dispatch)
    given: dict[str, Any] = {
        "attempt_id": call.attempt_id,
        "n": call.n,
        "deployment": call.deployment,
        "episode": call.episode,
        "dispatched_at_ms": call.dispatched_at_ms,
        "started_at_ms": call.dispatched_at_ms,
        "ended_at_ms": call.dispatched_at_ms + 100,
        "failure": failure,
        "call_id": f"call-{call.attempt_id}",
        "usage": None if failure else Usage(input_tokens=1_000, output_tokens=500),
    }
    travels = failure is None and "response_ref" not in seen
    value = encode(
        envelope.slip,
        AttemptResult(**(given | seen)),
        body=envelope.body if failure else NOTHING,
        response=msgspec.Raw(RESPONSE) if travels else NOTHING,
    )
    return _message(topics.RESULTS, EventType.ATTEMPTED, envelope.read_slip(), f"attempted-{call.n}", value)


def ended(slip: Slip, outcome: OutcomeKind = OutcomeKind.CANCELLED, *, nameless: bool = False) -> Message:
    """A request's end by something other than an attempt; `nameless` as a door cancels, which knows only the id."""
    kind = {OutcomeKind.CANCELLED: EventType.CANCELLED, OutcomeKind.EXPIRED: EventType.EXPIRED}
    data = Ended(outcome=outcome, reason=f"It was {outcome.value}.", at_ms=T0)
    event = kind.get(outcome, EventType.DEAD_LETTERED)
    return _message(topics.RESULTS, event, slip, outcome.value, encode(NOTHING if nameless else slip, data))


def _message(topic: str, event: EventType, slip: Slip, step: str, value: bytes) -> Message:
    said = {
        headers.CE_ID: ids.event_id(slip.request_id, step),
        headers.CE_TYPE: event.value,
        headers.CE_TIME: iso_time(T0),
        headers.CE_SUBJECT: str(slip.request_id),
        headers.CE_TENANT: slip.tenant,
    }
    return Message(topic, value, str(slip.request_id).encode(), tuple((k, v.encode()) for k, v in said.items()))
