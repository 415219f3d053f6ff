"""How much one deployment may be asked at a time: calls in flight (AIMD), requests and tokens a minute (buckets).

Pure: the time, in seconds of any steady clock, is passed in. The vendor's own headers correct what is kept here.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from allweather.contracts.config import Concurrency
from allweather.contracts.failures import FailureKind
from allweather.provider_worker.rates import Allowance, Allowances

DECREASE = 0.7
DECREASE_EVERY_S = 1.0
"""One bad second fails many calls at once; it must lower the limit once, not many times."""
PER_MINUTE_S = 60.0
LEAST_HOLD_S = 2.0
"""After a 429, whatever it says: a vendor that tells nothing of its limits is asked too much, but seldom."""
MOST_HOLD_S = 60.0
"""Limits are per minute. Who asks for more may have mistaken the unit: one call after a minute finds out."""

_TOO_MUCH = frozenset({FailureKind.RATE_LIMITED, FailureKind.UNAVAILABLE})
"""429, 529, no answer in time: what a vendor does when it is asked too much."""


class Slots:
    """Calls in flight: additive increase while they succeed, multiplicative decrease when the vendor has enough."""

    def __init__(self, bounds: Concurrency) -> None:
        self._bounds = bounds
        self._lowered_at = float("-inf")
        self.limit = float(bounds.start)
        self.in_flight = 0

    @property
    def free(self) -> bool:
        return self.in_flight < int(self.limit)

    def take(self) -> None:
        self.in_flight += 1

    def give_back(self, failure: FailureKind | None, now: float) -> None:
        """A call has ended, with that failure or with an answer."""
        needed = self.in_flight >= self.limit / 2
        self.in_flight -= 1
        if failure in _TOO_MUCH:
            self._lower(now)
        elif failure is None and needed:
            self.limit = min(self.limit + 1 / self.limit, self._bounds.max)

    def _lower(self, now: float) -> None:
        if now - self._lowered_at >= DECREASE_EVERY_S:
            self._lowered_at = now
            self.limit = max(1.0, self.limit * DECREASE)


class Places:
    """The calls that one process can have in flight, all its deployments together.

    None may hold more of them than are free: so a deployment that does not answer leaves half of them to the others,
    two of them leave a third, and so on. The last place stays free, for what is looked at and sent back. A deployment
    that is alone in its process has nobody to leave them to.
    """

    def __init__(self, window: int, deployments: Iterable[Slots]) -> None:
        self._window, self._deployments = window, tuple(deployments)

    def left_to(self, slots: Slots) -> bool:
        """Whether one more call of the deployment with these slots leaves enough to the others."""
        if len(self._deployments) == 1:
            return True
        free = self._window - 1 - sum(each.in_flight for each in self._deployments)
        return slots.in_flight < free


@dataclass(slots=True)
class Bucket:
    """What is left of a limit per minute. Without limits until the vendor has named one."""

    capacity: float | None = None
    level: float = 0.0
    at: float = 0.0

    def wait_s(self, amount: float, now: float) -> float:
        """How long until `amount` is there; what is larger than the whole bucket needs it full."""
        if self.capacity is None:
            return 0.0
        self._refill(self.capacity, now)
        missing = min(amount, self.capacity) - self.level
        return max(0.0, missing * PER_MINUTE_S / self.capacity)

    def spend(self, amount: float) -> None:
        """Take `amount`, or give it back when it is negative."""
        self.level -= amount

    def correct(self, seen: Allowance | None, now: float) -> None:
        """Believe the vendor where it says that less is left; of what it cannot know yet, it knows nothing."""
        if seen is None:
            return
        if self.capacity is None:
            self.level, self.at = seen.remaining, now
        self.capacity = seen.limit
        self._refill(seen.limit, now)
        self.level = min(self.level, seen.remaining)

    def _refill(self, capacity: float, now: float) -> None:
        self.level = min(capacity, self.level + (now - self.at) * capacity / PER_MINUTE_S)
        self.at = now


@dataclass(slots=True)
class Limiter:
    """The limits of one deployment, as one worker process keeps them."""

    slots: Slots
    requests: Bucket = field(default_factory=Bucket)
    tokens: Bucket = field(default_factory=Bucket)
    held_until: float = float("-inf")
    """Until when the vendor asked to be left alone: by whomever, for its limits are not those of one request."""

    @classmethod
    def of(cls, bounds: Concurrency) -> "Limiter":
        return cls(Slots(bounds))

    def wait_s(self, tokens: int, now: float) -> float:
        """How long until the vendor may be asked again and the buckets hold one more request of that many tokens."""
        return max(self.held_until - now, self.requests.wait_s(1, now), self.tokens.wait_s(tokens, now))

    def begin(self, tokens: int) -> None:
        """Reserve a slot, a request and the estimated tokens for a call."""
        self.slots.take()
        self.requests.spend(1)
        self.tokens.spend(tokens)

    def end(self, reserved: int, used: int | None, failure: FailureKind | None, now: float) -> None:
        """Settle a call: what it used where the vendor has counted it, else the estimate."""
        self.slots.give_back(failure, now)
        if used is not None:
            self.tokens.spend(used - reserved)

    def hold(self, retry_after_s: float | None, now: float) -> None:
        """The vendor has answered 429, and asked for so much time if it said."""
        asked = LEAST_HOLD_S if retry_after_s is None else min(max(retry_after_s, LEAST_HOLD_S), MOST_HOLD_S)
        self.held_until = max(self.held_until, now + asked)

    def correct(self, seen: Allowances, now: float) -> None:
        self.requests.correct(seen.requests, now)
        self.tokens.correct(seen.tokens, now)
