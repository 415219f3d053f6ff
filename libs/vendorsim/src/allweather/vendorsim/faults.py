"""What can go wrong: the kinds of faults, as the admin API takes them."""

from statistics import NormalDist
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from allweather.vendorsim.wire import Failure, Operation, Target

VendorName = Literal["anthropic", "openai", "azure-openai", "vertex", "open-source", "mistral"]
Seconds = Annotated[float, Meta(ge=0)]
HeaderName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]+\Z")]
HeaderValue = Annotated[str, Meta(pattern=r"^[ -~]*\Z")]
HttpStatus = Annotated[int, Meta(ge=400, le=599)]
_NORMAL = NormalDist()
_P99 = _NORMAL.inv_cdf(0.99)


class Fault(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind"
):
    """Which calls are struck: those that match every member given here."""

    vendor: VendorName | None = None
    region: str | None = None
    deployment: str | None = None
    model: str | None = None
    operation: Operation | None = None
    """`chat`, `responses`, `embeddings`, ...: what the call log calls it."""
    probability: Annotated[float, Meta(gt=0, le=1)] = 1.0
    count: Annotated[int, Meta(ge=1)] | None = None
    """Strike this many calls, then no more."""

    def matches(self, target: Target, operation: Operation) -> bool:
        return (
            self.operation in (None, operation)
            and self.vendor in (None, target.vendor)
            and self.region in (None, target.region)
            and self.deployment in (None, target.deployment)
            and self.model in (None, target.model)
        )


class Refuse(Fault, frozen=True, kw_only=True, tag="refuse"):
    """No HTTP answer: the connection is closed at once, or the vendor's own listener refuses it."""


class Hang(Fault, frozen=True, kw_only=True, tag="hang"):
    """The request is taken and never answered."""


class Answering(Fault, frozen=True, kw_only=True):
    """A fault that answers in the vendor's stead, with the vendor's own body for it."""

    message: str | None = None
    """Instead of the vendor's usual words."""
    code: str | None = None
    """Instead of the usual code: `slow_down`, `enforced_spend_limit_reached`, ..."""
    retry_after: Seconds | None = None
    headers: dict[HeaderName, HeaderValue] = msgspec.field(default_factory=dict[str, str])
    """Sent besides the vendor's own, and in their place when they have the same name."""

    def failure(self) -> Failure:
        raise NotImplementedError


class Status(Answering, frozen=True, kw_only=True, tag="status"):
    """Any error status, with the vendor's exact body for it."""

    status: HttpStatus
    body: Any = None
    """A JSON value in place of the vendor's body."""

    def failure(self) -> Failure:
        kind = "auth" if self.status == 401 else "rate_limit" if self.status == 429 else "status"
        return Failure(kind, self.status, self.code, self.message, self.retry_after)


class RateLimit(Answering, frozen=True, kw_only=True, tag="rate_limit"):
    """429 above `requests_per_second` (a token bucket per target); without it, always."""

    requests_per_second: Annotated[float, Meta(gt=0)] | None = None

    def failure(self) -> Failure:
        return Failure("rate_limit", 429, self.code, self.message, self.retry_after)


class Auth(Answering, frozen=True, kw_only=True, tag="auth"):
    """The credential is rejected."""

    def failure(self) -> Failure:
        return Failure("auth", 401, self.code, self.message, self.retry_after)


class Quota(Answering, frozen=True, kw_only=True, tag="quota"):
    """Money or quota has run out: not a limit that waiting a little would lift."""

    def failure(self) -> Failure:
        return Failure("quota", 429, self.code, self.message, self.retry_after)


class BodyError200(Answering, frozen=True, kw_only=True, tag="body_error_200"):
    """HTTP 200 with an error body."""

    status: HttpStatus = 500
    """The error whose body is sent."""

    def failure(self) -> Failure:
        return Failure("status", self.status, self.code, self.message, self.retry_after)


class Disturbing(Fault, frozen=True, kw_only=True):
    """A fault that spoils a good answer on its way."""

    after: Annotated[int, Meta(ge=0)] = 0
    """Content chunks that still arrive whole; a plain answer is spoiled in its middle."""


class Cut(Disturbing, frozen=True, kw_only=True, tag="cut"):
    """The connection is closed in the middle."""

    reset: bool = False
    """Close with a TCP reset instead of an orderly end."""


class Stall(Disturbing, frozen=True, kw_only=True, tag="stall"):
    """Nothing more is sent, and the connection stays open."""


class MalformedChunk(Disturbing, frozen=True, kw_only=True, tag="malformed_chunk"):
    """One chunk (a plain answer: its body) is broken JSON; the rest of the stream is good."""


class NoTerminator(Disturbing, frozen=True, kw_only=True, tag="no_terminator"):
    """The finish reason arrives, `[DONE]` or message_stop does not. Vertex and plain answers have none to leave out."""


class NoFinish(Disturbing, frozen=True, kw_only=True, tag="no_finish"):
    """The stream ends in good order, but without a finish reason. Nothing to leave out on plain answers."""


class ErrorInStream(Disturbing, frozen=True, kw_only=True, tag="error_in_stream"):
    """The vendor's error event after HTTP 200; ends the stream. Plain answers are spared."""

    status: HttpStatus = 500
    code: str | None = None
    message: str | None = None

    def failure(self) -> Failure:
        kind = "quota" if self.status == 429 and self.code else "rate_limit" if self.status == 429 else "status"
        return Failure(kind, self.status, self.code, self.message)


class SlowFirstToken(Fault, frozen=True, kw_only=True, tag="slow_first_token"):
    """The first content (a plain answer: everything) comes this much later; headers of a stream come at once."""

    seconds: Seconds


class Spread(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A log-normal distribution by two of its percentiles."""

    p50: Annotated[float, Meta(gt=0)]
    p99: Annotated[float, Meta(gt=0)]

    def at(self, quantile: float) -> float:
        spread = max(self.p99 / self.p50, 1.0)
        return self.p50 * spread ** (_NORMAL.inv_cdf(quantile) / _P99)


class Latency(Fault, frozen=True, kw_only=True, tag="latency"):
    """How fast the vendor is on an ordinary day; the last one that matches is in force."""

    first_token_ms: Spread
    per_token_ms: Seconds = 0.0


AnyFault = (
    Refuse
    | Hang
    | Status
    | RateLimit
    | Auth
    | Quota
    | BodyError200
    | Cut
    | Stall
    | MalformedChunk
    | NoTerminator
    | NoFinish
    | ErrorInStream
    | SlowFirstToken
    | Latency
)


def kind_of(fault: Fault) -> str:
    return str(fault.__struct_config__.tag)


def refuses_everything(fault: AnyFault) -> bool:
    """Tell whether nothing of the vendor is left to answer."""
    narrow = (fault.region, fault.deployment, fault.model, fault.operation, fault.count)
    return isinstance(fault, Refuse) and fault.probability >= 1 and not any(narrow)
