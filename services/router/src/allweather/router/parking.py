"""Parked requests as rows of the queue, and lanes: who can be served by the same candidates."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import msgspec

from allweather.contracts.slip import Capability, Needs, Priority, ReplyAddress, Slip, Verdict

INLINE_BYTES: Final = 64 * 1024
"""Larger bodies go to the payload store."""


@dataclass(frozen=True, slots=True)
class Parking:
    """One stay of one request in the queue."""

    request_id: UUID
    n: int
    partition: int | None
    """Of the record that it follows from, and so of the one that ends it; None if an older version parked it."""
    not_before_ms: int
    slip: Slip
    body: bytes | None
    """The body as JSON, unless it is large or does not travel with the request."""
    body_ref: str | None = None
    """Where a large body was put for the time of the stay."""
    bytes: int = 0
    """What it takes of the tenant's space."""


class Lane(msgspec.Struct, frozen=True, array_like=True, order=True):
    """What decides which candidates a request has. All requests of a lane are servable, or none."""

    route: str
    regions: tuple[str, ...] | None
    vendors: tuple[str, ...] | None
    capabilities: tuple[str, ...]
    tokens: int
    """Rounded up to a power of two, so that lanes are few."""

    @classmethod
    def of(cls, slip: Slip) -> "Lane":
        """The lane of a request."""
        verdict, needs = slip.verdict, slip.needs
        tokens = needs.input_tokens + (needs.output_tokens or 0)
        return cls(
            slip.route,
            None if verdict.regions is None else tuple(sorted(verdict.regions)),
            None if verdict.vendors is None else tuple(sorted(verdict.vendors)),
            tuple(sorted(c.value for c in needs.capabilities)),
            1 << max(0, tokens - 1).bit_length() if tokens else 0,
        )

    @classmethod
    def parse(cls, text: str) -> "Lane":
        return _decoder.decode(text)

    def __str__(self) -> str:
        return msgspec.json.encode(self).decode()

    def specimen(self) -> Slip:
        """A released request of this lane as routing sees it: what is eligible for it is eligible for all."""
        return Slip(
            request_id=UUID(int=0),
            tenant="",
            route=self.route,
            priority=Priority.BULK,
            accepted_at_ms=0,
            deadline_ms=0,
            body_digest="",
            needs=Needs(capabilities=tuple(map(Capability, self.capabilities)), input_tokens=self.tokens),
            reply=ReplyAddress(topic=""),
            verdict=Verdict(effect="permit", regions=self.regions, vendors=self.vendors),
            episode=2,
            parks=1,
        )


_decoder = msgspec.json.Decoder(Lane)


@dataclass(frozen=True, slots=True)
class Queue:
    """Requests of one tenant and class that the same candidates can serve."""

    priority: Priority
    lane: Lane
    tenant: str


@dataclass(frozen=True, slots=True)
class Grant:
    """So many requests of one tenant and class may be let go, in the order of the class, whichever their lane."""

    priority: Priority
    tenant: str
    lanes: Sequence[Lane]
    limit: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """A parked request, locked for this replica."""

    request_id: UUID
    n: int
    tenant: str
    slip: bytes
    body: bytes | None
    body_ref: str | None


Publish = Callable[[Sequence[Waiting]], Awaitable[None]]
"""Lets requests go: returns when the records that say so are acknowledged."""
