"""What went wrong with an attempt, as data: the router decides on the kind, nobody raises it through the pipeline."""

from enum import StrEnum


class FailureKind(StrEnum):
    """Why an attempt did not end in an answer."""

    UNAVAILABLE = "unavailable"
    """Connect error, no first byte in time, 408, 5xx, 529, cut stream. Next candidate; counts against the breaker."""
    RATE_LIMITED = "rate_limited"
    """429 about pace. Honour Retry-After, other candidate; concerns the limiter only."""
    QUOTA_EXHAUSTED = "quota_exhausted"
    """429 about money. The credential is out until it resets; alert."""
    AUTH_FAILED = "auth_failed"
    """401 or 403. The credential is out at once; alert."""
    TOO_LONG = "too_long"
    """Over the context window. Once more on a candidate with a larger window, else terminal."""
    REFUSED = "refused"
    """Content filter or safety refusal. Terminal: a refusal is an answer, never a trigger for fallback."""
    INVALID = "invalid"
    """400, 413, 422. Terminal, with the vendor's message."""
    UNSUPPORTED = "unsupported"
    """This candidate cannot do what a parameter asks, another may. Next candidate; invalid when none is left."""
    MISCONFIGURED = "misconfigured"
    """Model or deployment not found, 402, unexpected 409. Deployment out, alert, next candidate."""
    INTERRUPTED = "interrupted"
    """The stream broke after content had been released to the caller."""
    NOT_CALLED = "not_called"
    """No call was made: breaker open, slots full, deadline or queue age passed. Not an attempt; choose again."""
    WORKER_LOST = "worker_lost"
    """The fleet is dead or the lease lapsed. Not an attempt; choose again."""

    @property
    def is_terminal(self) -> bool:
        """Whether this ends the request: trying another vendor would be wrong."""
        return self in _TERMINAL

    @property
    def is_attempt(self) -> bool:
        """Whether a vendor was (or may have been) called and could have answered: it counts in its episode."""
        return self not in _NOT_ATTEMPTS

    @property
    def counts_against_breaker(self) -> bool:
        """Whether it says that the deployment itself is unwell."""
        return self in _UNWELL


_TERMINAL = frozenset({FailureKind.REFUSED, FailureKind.INVALID})
_NOT_ATTEMPTS = frozenset({FailureKind.NOT_CALLED, FailureKind.WORKER_LOST, FailureKind.UNSUPPORTED})
_UNWELL = frozenset({FailureKind.UNAVAILABLE, FailureKind.INTERRUPTED})


class OutcomeKind(StrEnum):
    """How a request ended. Exactly one per accepted request."""

    ANSWERED = "answered"
    REFUSED = "refused"
    """A vendor's content filter or safety refusal: an answer of its kind."""
    DENIED = "denied"
    """Policy said no."""
    INVALID = "invalid"
    """The request cannot be served as it is (malformed, or rejected by the vendor as such)."""
    TOO_LONG = "too_long"
    """No permitted candidate has a context window large enough."""
    INTERRUPTED = "interrupted"
    """The stream broke after content had been released and could not be continued."""
    EXPIRED = "expired"
    """Its deadline passed while it waited."""
    CANCELLED = "cancelled"
    OVER_LIMIT = "over_limit"
    """The tenant's parking space was full (Kafka door; the HTTP door refuses before acceptance)."""
    DEAD_LETTERED = "dead_lettered"
    """A record of it could not be handled; an operator finds it in the dead letters."""
