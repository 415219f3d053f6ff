"""What each topic holds: event types, the data of each, and the envelope of internal records.

An internal record is one JSON object `{"slip": ..., "data": ..., "body": ..., "response": ...}`: the slip, the event's
own data, the caller's body and the rendered answer. Services pass on as bytes what they do not read.
"""

from enum import StrEnum
from typing import Literal, TypeVar
from uuid import UUID

import msgspec

from allweather.contracts.failures import FailureKind, OutcomeKind
from allweather.contracts.model import Value
from allweather.contracts.slip import Slip, Usage

M = TypeVar("M", bound=Value)


class EventType(StrEnum):
    """`ce_type` of every record."""

    SUBMITTED = "ai.request.submitted"
    CLEARED = "ai.request.cleared"
    DISPATCHED = "ai.request.dispatched"
    ATTEMPTED = "ai.request.attempted"
    PARKED = "ai.request.parked"
    RELEASED = "ai.request.released"
    EXPIRED = "ai.request.expired"
    CANCELLED = "ai.request.cancelled"
    DEAD_LETTERED = "ai.request.dead_lettered"
    SETTLED = "ai.request.settled"
    CONFLICTED = "ai.request.conflicted"
    DELTA = "ai.request.delta"


class CandidateView(Value, frozen=True, kw_only=True):
    """What the router knew of one candidate when it decided."""

    deployment: str
    state: Literal["closed", "open", "half_open", "out"] = "closed"
    excluded: str | None = None
    """Why it was not eligible: `region`, `capability`, `context`, `breaker_open`, `credential_out`, `tried`, ..."""


class RoutingDecision(Value, frozen=True, kw_only=True):
    """A choice with all its inputs, so that it can be made again from the log alone."""

    config_digest: str
    now_ms: int
    seed: int
    considered: tuple[CandidateView, ...]
    chosen: str | None = None
    reason: str
    """One sentence: why this candidate, or why none."""


class Dispatch(Value, frozen=True, kw_only=True):
    """Data of `ai.request.dispatched`: one attempt, to one deployment. Durable before the vendor is called."""

    attempt_id: UUID
    n: int
    deployment: str
    vendor: str
    episode: int
    dispatched_at_ms: int
    first_token_timeout_ms: int
    probe: bool = False
    """Whether this call may prove that a half-open deployment is well again."""
    decision: RoutingDecision


class AttemptResult(Value, frozen=True, kw_only=True):
    """Data of `ai.request.attempted`: how one dispatch ended.

    Either `failure` or a response is there, or both: a refusal is a failure that is also an answer.
    """

    attempt_id: UUID
    n: int
    deployment: str
    episode: int
    dispatched_at_ms: int
    failure: FailureKind | None = None
    message: str | None = None
    """The vendor's or our own sentence, without secrets or content."""
    vendor_code: str | None = None
    http_status: int | None = None
    vendor_request_id: str | None = None
    retry_after_ms: int | None = None
    started_at_ms: int
    ended_at_ms: int
    first_token_ms: int | None = None
    """From the start of the call to its first content."""
    call_id: str | None = None
    """Random id of this very call: two calls of one attempt (after a crash) differ in it."""
    released_content: bool = False
    """Whether deltas with content left the worker."""
    delta_count: int = 0
    deltas_digest: str | None = None
    """SHA-256 over the published deltas, which the audit log does not hold one by one."""
    finish_reason: str | None = None
    served_model: str | None = None
    usage: Usage | None = None
    response_ref: str | None = None
    """Digest under which the payload store holds the response when it is too large to travel in the record."""


class Parked(Value, frozen=True, kw_only=True):
    """Data of `ai.request.parked`."""

    n: int
    """Which parking of this request, from 1."""
    not_before_ms: int
    reason: str
    decision: RoutingDecision | None = None


class Released(Value, frozen=True, kw_only=True):
    """Data of `ai.request.released`: the queue let a parked request go; a new episode begins."""

    n: int
    released_at_ms: int


class Ended(Value, frozen=True, kw_only=True):
    """Data of `ai.request.expired`, `.cancelled` and `.dead_lettered`: no attempt, but an event ends the request."""

    outcome: OutcomeKind
    reason: str
    at_ms: int


class Delta(Value, frozen=True, kw_only=True):
    """Data of `ai.request.delta`: a piece of a streamed answer, in the caller's dialect."""

    call_id: str
    sequence: int
    events: tuple[str, ...]
    """The payloads of server-sent events, without their framing.

    The events with which the dialect says that an answer is complete (a finish reason, `message_stop`,
    `response.completed`) are among the last; the door holds them until the reply names this call. `[DONE]` is not.
    """
    has_content: bool = False


class Charge(Value, frozen=True, kw_only=True):
    """What one attempt cost that a vendor bills; its usage is in its `ai.request.attempted`."""

    n: int
    deployment: str
    usd: float
    price: str
    """Rates in USD per million tokens, and their source with its version: enough to compute it again."""


class Settled(Value, frozen=True, kw_only=True):
    """What is stored with an outcome beside the reply's bytes, and said in the reply's headers."""

    outcome: OutcomeKind
    status: int
    """The HTTP status under which the reply is given to an HTTP caller."""
    deployment: str | None = None
    model: str | None = None
    processed_in: str | None = None
    attempts: int = 0
    call_id: str | None = None
    usage: Usage | None = None
    cost_usd: float | None = None
    charges: tuple[Charge, ...] = ()
    """What the cost is made of."""


class Envelope(msgspec.Struct, frozen=True, omit_defaults=True):
    """The value of an internal record. Parts stay bytes until somebody reads them."""

    slip: msgspec.Raw
    data: msgspec.Raw = msgspec.Raw(b"null")
    body: msgspec.Raw = msgspec.Raw(b"null")
    response: msgspec.Raw = msgspec.Raw(b"null")

    def read_slip(self) -> Slip:
        """The slip, validated. Raises `MalformedRecord`."""
        try:
            return Slip.from_json(self.slip)
        except ValueError as error:
            raise MalformedRecord(f"slip: {error}") from error

    def read(self, model: type[M]) -> M:
        """The event's own data, validated. Raises `MalformedRecord`."""
        try:
            return model.from_json(self.data)
        except ValueError as error:
            raise MalformedRecord(f"{model.__name__}: {error}") from error


class MalformedRecord(ValueError):
    """An internal record that no version of us could have written: dead letter."""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Envelope)
NOTHING = msgspec.Raw(b"null")


def encode(
    slip: Slip | msgspec.Raw,
    data: Value | msgspec.Raw = NOTHING,
    body: msgspec.Raw = NOTHING,
    response: msgspec.Raw = NOTHING,
) -> bytes:
    """The value of an internal record. `body` and `response` must be valid JSON: they are copied, not parsed."""
    return _encoder.encode(Envelope(_raw(slip), _raw(data), body, response))


def decode(value: bytes | None) -> Envelope:
    """The envelope in the value of an internal record. Raises `MalformedRecord`."""
    try:
        return _decoder.decode(value or b"")
    except (ValueError, RecursionError) as error:
        raise MalformedRecord(f"envelope: {error}") from error


def _raw(part: Value | msgspec.Raw) -> msgspec.Raw:
    return part if isinstance(part, msgspec.Raw) else msgspec.Raw(part.to_json())
