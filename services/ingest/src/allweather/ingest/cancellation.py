"""The record that asks the router to end a request. Pure."""

from uuid import UUID

from allweather.contracts import headers, ids, topics
from allweather.contracts.failures import OutcomeKind
from allweather.contracts.model import iso_time
from allweather.contracts.records import NOTHING, Ended, EventType, encode
from allweather.messaging import Message


def cancelled(request: UUID, tenant: str, at_ms: int) -> Message:
    """A cancellation by the caller. It carries no slip: the door does not have it, and the router does."""
    data = Ended(outcome=OutcomeKind.CANCELLED, reason="The caller cancelled this request.", at_ms=at_ms)
    subject = str(request).encode()
    return Message(
        topic=topics.RESULTS,
        key=subject,
        value=encode(NOTHING, data),
        headers=(
            (headers.CONTENT_TYPE, b"application/json"),
            (headers.CE_SPECVERSION, b"1.0"),
            (headers.CE_ID, ids.event_id(request, f"cancelled/{at_ms}").encode()),
            (headers.CE_SOURCE, b"/allweather/ingest"),
            (headers.CE_TYPE, EventType.CANCELLED.encode()),
            (headers.CE_TIME, iso_time(at_ms).encode()),
            (headers.CE_SUBJECT, subject),
            (headers.CE_TENANT, tenant.encode()),
        ),
    )
