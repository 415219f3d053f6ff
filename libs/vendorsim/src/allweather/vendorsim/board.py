"""The decision what goes wrong with one call. No I/O, no clock."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from allweather.vendorsim.faults import (
    Answering,
    AnyFault,
    Disturbing,
    Hang,
    Latency,
    RateLimit,
    Refuse,
    SlowFirstToken,
    kind_of,
    refuses_everything,
)
from allweather.vendorsim.wire import Operation, Target


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

    def strikes(self, seed: int, target: Target, operation: Operation, now: float) -> bool:
        """Decide for the next matching call; the n-th is always decided the same way."""
        if not self.fault.matches(target, operation) or (
            self.fault.count is not None and self.struck >= self.fault.count
        ):
            return False
        self.seen += 1
        if self.fault.probability < 1 and draw(seed, self.label, self.seen) >= self.fault.probability:
            return False
        if isinstance(self.fault, RateLimit) and self.fault.requests_per_second is not None:
            rate = self.fault.requests_per_second
            if self.buckets.setdefault(target, Bucket(rate, max(1.0, rate), now)).take(now):
                return False
        self.struck += 1
        return True


@dataclass(slots=True)
class _Struck:
    """What has struck one call so far."""

    ending: Refuse | Hang | Answering | None = None
    disturbance: Disturbing | None = None
    latency: Latency | None = None
    slow: float = 0.0

    def has_room_for(self, fault: AnyFault) -> bool:
        """One ending and one disturbance are enough for a call; delays add up."""
        if isinstance(fault, Disturbing):
            return self.disturbance is None
        return isinstance(fault, Latency | SlowFirstToken) or self.ending is None

    def add(self, fault: AnyFault) -> None:
        if isinstance(fault, Latency):
            self.latency = fault
        elif isinstance(fault, SlowFirstToken):
            self.slow += fault.seconds
        elif isinstance(fault, Disturbing):
            self.disturbance = fault
        else:
            self.ending = fault


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
        return frozenset(armed.fault.vendor for armed in self._armed if refuses_everything(armed.fault))

    def plan(self, target: Target, number: int, now: float, operation: Operation = "chat") -> Plan:
        """Decide what happens to a call: the first ending, the first disturbance, and all delays that strike."""
        if not self._armed and not self._profile:
            return CALM
        struck = _Struck()
        for armed in (*self._profile, *self._armed):
            if struck.has_room_for(armed.fault) and armed.strikes(self._seed, target, operation, now):
                struck.add(armed.fault)
        limit = next((armed.buckets[target] for armed in self._armed if target in armed.buckets), None)
        first, each = self._pace(struck.latency, number)
        return Plan(struck.ending, struck.disturbance, first + struck.slow, each, limit)

    def _pace(self, latency: Latency | None, number: int) -> tuple[float, float]:
        """Return seconds to the first token and for each one after it."""
        if latency is None:
            return 0.0, 0.0
        first = latency.first_token_ms.at(draw(self._seed, "latency", number))
        return first / 1000, latency.per_token_ms / 1000


def draw(seed: int, purpose: str, number: int) -> float:
    """Return a number in (0, 1) that depends on nothing but its arguments."""
    digest = blake2b(f"{seed}/{purpose}/{number}".encode(), digest_size=7).digest()
    return (int.from_bytes(digest) + 0.5) / 2**56
