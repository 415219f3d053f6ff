"""Records in, occurrences out."""

from typing import Final
from uuid import UUID

import msgspec

from allweather.contracts import headers
from allweather.contracts.records import (
    AttemptResult,
    Ended,
    Envelope,
    EventType,
    MalformedRecord,
    Released,
    decode,
)
from allweather.contracts.slip import Priority, ReplyAddress, Slip, Verdict
from allweather.contracts.topics import replies
from allweather.messaging import PermanentError, Record
from allweather.router.events import Cause, Cleared, Event, Occurrence

_NULL: Final = b"null"


def read(record: Record) -> Occurrence:
    """What happened, from a record. Raises `PermanentError` for one that no version of us could have written."""
    try:
        return _read(record)
    except ValueError as error:
        raise PermanentError(str(error)) from error


def _read(record: Record) -> Occurrence:
    envelope = decode(record.value)
    event = _event(record.text(headers.CE_TYPE), envelope)
    nameless = _is_null(envelope.slip)
    slip = _unknown(record, event) if nameless else envelope.read_slip()
    return Occurrence(
        cause=Cause(record.topic, record.partition, record.offset),
        cause_id=record.text(headers.CE_ID) or "",
        slip=slip,
        slip_json=slip.to_json() if nameless else bytes(envelope.slip),
        event=event,
        body=envelope.body,
        response=envelope.response,
        nameless=nameless,
    )


def _event(kind: str | None, envelope: Envelope) -> Event:
    match kind:
        case EventType.CLEARED:
            return Cleared()
        case EventType.ATTEMPTED:
            return _attempted(envelope)
        case EventType.RELEASED:
            return envelope.read(Released)
        case EventType.EXPIRED | EventType.CANCELLED | EventType.DEAD_LETTERED:
            return envelope.read(Ended)
        case _:
            raise MalformedRecord(f"no event of the router's: {kind}")


def _attempted(envelope: Envelope) -> AttemptResult:
    result = envelope.read(AttemptResult)
    if result.failure is None and result.response_ref is None and _is_null(envelope.response):
        raise MalformedRecord("an answered attempt without a response")
    return result


def _unknown(record: Record, event: Event) -> Slip:
    """The least that can be said of a request of which only the id is known: enough to end it."""
    if not isinstance(event, Ended):
        raise MalformedRecord("no slip")
    tenant = record.text(headers.CE_TENANT) or ""
    return Slip(
        request_id=UUID(record.text(headers.CE_SUBJECT) or ""),
        tenant=tenant,
        route="",
        priority=Priority.BULK,
        accepted_at_ms=event.at_ms,
        deadline_ms=event.at_ms,
        body_digest="",
        reply=ReplyAddress(topic=replies(tenant)),
        verdict=Verdict(effect="deny", code=event.outcome.value, reason=event.reason, decided_at_ms=event.at_ms),
    )


def _is_null(part: msgspec.Raw) -> bool:
    return bytes(part) == _NULL
