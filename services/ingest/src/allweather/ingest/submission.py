"""What the door publishes for an HTTP request: exactly what an application would publish itself. Pure."""

import re
from collections.abc import Mapping
from typing import Final
from uuid import UUID

import msgspec

from allweather.contracts import headers, ids, topics
from allweather.contracts.ids import BodyReference, DoorAddress
from allweather.contracts.model import digest, iso_time
from allweather.contracts.records import EventType
from allweather.ingest import refusals
from allweather.ingest.http import Incoming
from allweather.messaging import Message

INLINE_LIMIT: Final = 1 << 20
"""Larger bodies are put into the payload store, and the record names their digest."""

HINTS: Final[Mapping[bytes, str]] = {
    b"x-allweather-priority": headers.PRIORITY,
    b"x-allweather-deadline": headers.DEADLINE,
    b"x-allweather-region": headers.REGION,
    b"x-allweather-data-class": headers.DATA_CLASS,
    b"anthropic-version": headers.API_VERSION,
    b"anthropic-beta": headers.API_BETAS,
    b"traceparent": headers.TRACEPARENT,
    b"tracestate": headers.TRACESTATE,
}
"""HTTP header -> record header. Nothing else of a caller's headers reaches a topic."""

_KEY = re.compile(rb"[\x21-\x7e][\x20-\x7e]{0,254}")


class Submission(msgspec.Struct, frozen=True):
    """One HTTP request, ready to be published."""

    tenant: str
    request_id: UUID
    key: str
    """The caller's idempotency key, or the one that the door minted."""
    key_is_minted: bool
    body: bytes
    body_digest: str
    hints: Mapping[str, bytes]
    """Record headers."""
    correlation: bytes
    """Names this very submission in its replies."""
    accepted_at_ms: int

    @property
    def is_large(self) -> bool:
        return len(self.body) > INLINE_LIMIT

    def message(self, door: DoorAddress, secret: bytes) -> Message:
        """The record to publish."""
        given: dict[str, bytes] = {
            headers.CONTENT_TYPE: b"application/json",
            headers.CE_SPECVERSION: b"1.0",
            headers.CE_ID: self.key.encode(),
            headers.CE_SOURCE: b"/allweather/ingest",
            headers.CE_TYPE: EventType.SUBMITTED.encode(),
            headers.CE_TIME: iso_time(self.accepted_at_ms).encode(),
            headers.CORRELATION_ID: self.correlation,
            headers.DOOR: door.sign(self.request_id, secret).encode(),
            **self.hints,
        }
        if self.is_large:
            given[headers.BODY_REF] = BodyReference(self.body_digest).sign(self.request_id, secret).encode()
        return Message(
            topic=topics.requests(self.tenant),
            key=str(self.request_id).encode(),
            value=b"" if self.is_large else self.body,
            headers=tuple(given.items()),
        )


def submission(
    tenant: str, incoming: Incoming, body: bytes, *, minted: str, accepted_at_ms: int, defaults: Mapping[str, bytes]
) -> Submission:
    """What `tenant` submits. Raises `Refused` for headers that cannot be passed on."""
    given = incoming.get(headers.IDEMPOTENCY_KEY.encode())
    key = minted if given is None else _key(given)
    return Submission(
        tenant=tenant,
        request_id=ids.request_id(tenant, key),
        key=key,
        key_is_minted=given is None,
        body=body,
        body_digest=digest(body),
        hints={**defaults, **_hints(incoming)},
        correlation=minted.encode(),
        accepted_at_ms=accepted_at_ms,
    )


def _key(given: bytes) -> str:
    if not _KEY.fullmatch(given):
        raise refusals.invalid("invalid_header", "An Idempotency-Key is 1 to 255 printable ASCII characters.")
    return given.decode("ascii")


def _hints(incoming: Incoming) -> dict[str, bytes]:
    found = [(name, incoming.short(header)) for header, name in HINTS.items() if header in incoming]
    return {name: value for name, value in found if value}
