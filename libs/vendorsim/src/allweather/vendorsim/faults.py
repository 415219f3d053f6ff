"""What can go wrong, and the decision what goes wrong with one call. No I/O, no clock."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from statistics import NormalDist
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from allweather.vendorsim.wire import Failure, Target

VendorName = Literal["anthropic", "openai", "azure-openai", "vertex", "open-source"]
Seconds = Annotated[float, Meta(ge=0)]
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
    probability: Annotated[float, Meta(gt=0, le=1)] = 1.0
    count: Annotated[int, Meta(ge=1)] | None = None
    """Strike this many calls, then no more."""

    def matches(self, target: Target) -> bool:
        return (
            self.vendor in (None, target.vendor)
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

    def failure(self) -> Failure:
        raise NotImplementedError


class Status(Answering, frozen=True, kw_only=True, tag="status"):
    """Any error status, with the vendor's exact body for it."""

    status: HttpStatus
    headers: dict[str, str] = field(default_factory=dict[str, str])
    """Sent besides the vendor's own, and in their place when they have the same name."""
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


@dataclass(frozen=True, slots=True)
class Plan:
    """What will happen to one call."""

    ending: Refuse | Hang | Answering | None = None
    """Comes instead of an answer."""
    disturbance: Disturbing | None = None
    first_token: float = 0.0
    """Seconds until the first content."""
    per_token: float = 0.0
    limit: "Bucket | None" = None
    """The requests-per-second limit that the call was counted against, for the vendor's headers."""

    @property
    def fault(self) -> str | None:
        """The kind of what strikes, for the call log."""
        struck = self.ending or self.disturbance
        return None if struck is None else kind_of(struck)


CALM = Plan()


@dataclass(slots=True)
class Bucket:
    """A token bucket: `rate` a second, and no more than a second's worth (at least one) at once."""

    rate: float
    tokens: float
    at: float

    def take(self, now: float) -> bool:
        self.tokens = min(self.capacity, self.tokens + (now - self.at) * self.rate)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True

    @property
    def capacity(self) -> float:
        return max(1.0, self.rate)


@dataclass(slots=True)
class Armed:
    """A fault in force, and what it has done so far."""

    fault: AnyFault
    seen: int = 0
    struck: int = 0
    buckets: dict[Target, Bucket] = field(default_factory=dict[Target, Bucket])
    label: str = field(init=False)
    """Sets the dice of one fault apart from another's."""

    def __post_init__(self) -> None:
        self.label = repr(self.fault)

    def strikes(self, seed: int, target: Target) -> bool:
        """Decide for the next matching call; the n-th is always decided the same way."""
        if not self.fault.matches(target) or (self.fault.count is not None and self.struck >= self.fault.count):
            return False
        self.seen += 1
        return self.fault.probability >= 1 or draw(seed, self.label, self.seen) < self.fault.probability

    def bucket(self, target: Target, rate: float, now: float) -> Bucket:
        return self.buckets.setdefault(target, Bucket(rate, max(1.0, rate), now))


class FaultBoard:
    """The faults in force. Decides what happens to a call; the caller brings the time."""

    def __init__(self, seed: int = 0, profile: Sequence[Latency] = ()) -> None:
        self._seed = seed
        self._profile = [Armed(latency) for latency in profile]
        self._armed: list[Armed] = []

    @property
    def armed(self) -> Sequence[Armed]:
        return self._armed

    def replace(self, faults: Iterable[AnyFault]) -> None:
        self._armed = [Armed(fault) for fault in faults]

    def add(self, faults: Iterable[AnyFault]) -> None:
        self._armed += [Armed(fault) for fault in faults]

    def clear(self, vendor: str | None = None) -> None:
        """Lift every fault, or those that name `vendor`."""
        self._armed = [] if vendor is None else [each for each in self._armed if each.fault.vendor != vendor]

    def refused_vendors(self) -> frozenset[str | None]:
        """Return the vendors that refuse every call (None: all of them), whose own listeners are therefore closed."""
        return frozenset(armed.fault.vendor for armed in self._armed if _refuses_everything(armed.fault))

    def plan(self, target: Target, number: int, now: float) -> Plan:
        """Decide what happens to a call: the first ending, the first disturbance, and all delays that strike."""
        if not self._armed and not self._profile:
            return CALM
        ending: Refuse | Hang | Answering | None = None
        disturbance: Disturbing | None = None
        latency: Latency | None = None
        slow, limit = 0.0, None
        for armed in (*self._profile, *self._armed):
            fault = armed.fault
            if _is_decided(fault, ending, disturbance) or not armed.strikes(self._seed, target):
                continue
            if isinstance(fault, RateLimit) and fault.requests_per_second is not None:
                limit = armed.bucket(target, fault.requests_per_second, now)
                if limit.take(now):
                    continue
            armed.struck += 1
            if isinstance(fault, Latency):
                latency = fault
            elif isinstance(fault, SlowFirstToken):
                slow += fault.seconds
            elif isinstance(fault, Disturbing):
                disturbance = fault
            else:
                ending = fault
        return self._plan(ending, disturbance, latency, slow, limit, number)

    def _plan(
        self,
        ending: Refuse | Hang | Answering | None,
        disturbance: Disturbing | None,
        latency: Latency | None,
        slow: float,
        limit: Bucket | None,
        number: int,
    ) -> Plan:
        if latency is None:
            return Plan(ending, disturbance, slow, 0.0, limit)
        first = latency.first_token_ms.at(draw(self._seed, "latency", number)) / 1000
        return Plan(ending, disturbance, first + slow, latency.per_token_ms / 1000, limit)


def kind_of(fault: Fault) -> str:
    return str(fault.__struct_config__.tag)


def draw(seed: int, purpose: str, number: int) -> float:
    """Return a number in (0, 1) that depends on nothing but its arguments."""
    digest = blake2b(f"{seed}/{purpose}/{number}".encode(), digest_size=7).digest()
    return (int.from_bytes(digest) + 0.5) / 2**56


def _is_decided(fault: AnyFault, ending: object, disturbance: object) -> bool:
    """Tell whether a fault of this sort has struck already: one ending and one disturbance are enough for a call."""
    if isinstance(fault, Disturbing):
        return disturbance is not None
    return isinstance(fault, Refuse | Hang | Answering) and ending is not None


def _refuses_everything(fault: AnyFault) -> bool:
    narrow = (fault.region, fault.deployment, fault.model, fault.count)
    return isinstance(fault, Refuse) and fault.probability >= 1 and not any(narrow)
