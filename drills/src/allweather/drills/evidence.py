"""What a run left behind, as plain values: the checker reads nothing else.

Gathered by `gather`; a test builds it by hand.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple
from uuid import UUID


class Position(NamedTuple):
    """A record's place."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Submission:
    """A request as its client knows it."""

    request_id: UUID
    tenant: str
    door: Literal["http", "kafka"]
    body_digest: str
    state: Literal["accepted", "refused", "conflict", "unknown"]
    """`unknown`: the client was told neither yes nor no; either is allowed, but at most one outcome."""
    at_ms: int


@dataclass(frozen=True, slots=True)
class Received:
    """An answer as an HTTP client received it."""

    request_id: UUID
    status: int
    text: str | None
    """The assembled text of the answer, None for an error."""
    complete: bool = True
    """Whether a stream ended with its end marker."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A record on a reply topic."""

    request_id: UUID
    at: Position
    event_id: str
    conflict: bool
    digest: str
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """The decided outcome, from the router's view."""

    request_id: UUID
    tenant: str
    kind: str
    reply_digest: str
    text: str | None
    settled_at_ms: int
    answered_by: str | None = None
    """The deployment whose answer it is."""


@dataclass(frozen=True, slots=True)
class Step:
    """A row of the chain of decisions."""

    request_id: UUID
    position: int
    label: str
    cause: Position


@dataclass(frozen=True, slots=True)
class Cleared:
    """A verdict on its topic."""

    request_id: UUID
    at: Position
    permit: bool
    regions: frozenset[str] | None
    vendors: frozenset[str] | None
    deadline_ms: int
    tenant: str = ""
    priority: str = ""
    accepted_at_ms: int = 0


@dataclass(frozen=True, slots=True)
class Dispatched:
    """A durable dispatch record."""

    request_id: UUID
    attempt_id: UUID
    n: int
    at: Position
    deployment: str
    vendor: str
    processed_in: str
    episode: int
    timestamp_ms: int
    digest: str = ""
    """Of the record's value: carried out again, a decision gives the same bytes."""


@dataclass(frozen=True, slots=True)
class Resulted:
    """A record on the results topic."""

    request_id: UUID
    at: Position
    event: str
    attempt_id: UUID | None
    position: int
    """The chain position of its slip: it may cause the step after it."""


@dataclass(frozen=True, slots=True)
class VendorCall:
    """A call as the vendor counted it."""

    attempt_id: UUID | None
    vendor: str
    at_ms: int
    ended_at_ms: int | None = None
    """When the vendor was done with it, by the clock of `at_ms`; None when its log does not say."""
    status: int | None = None
    """The HTTP status that was sent; None when none was."""


class Judged(NamedTuple):
    """What the router held a deployment for at the moment of a recorded decision."""

    at_ms: int
    deployment: str
    state: str
    """Of its circuit breaker: `closed`, `open`, `half_open` or `out`."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that a run left behind."""

    submissions: tuple[Submission, ...] = ()
    received: tuple[Received, ...] = ()
    submitted: Mapping[Position, UUID] = field(default_factory=dict[Position, UUID])
    """The records of the request topics."""
    cleared: tuple[Cleared, ...] = ()
    dispatched: tuple[Dispatched, ...] = ()
    resulted: tuple[Resulted, ...] = ()
    parked: Mapping[UUID, int] = field(default_factory=dict[UUID, int])
    """How many parked records each request has."""
    replies: tuple[Reply, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    steps: tuple[Step, ...] = ()
    calls: tuple[VendorCall, ...] = ()
    judged: tuple[Judged, ...] = ()
    """In the order of time, each once however many decisions of a batch shared it."""
    committed: Mapping[tuple[str, str, int], int] = field(default_factory=dict[tuple[str, str, int], int])
    """Committed offset by (group, topic, partition)."""
    worker_crashes: int = 0
    away_ms: int = 0
    """For how long a needed part of Allweather itself was away, added to every deadline."""
