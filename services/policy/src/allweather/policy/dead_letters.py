"""The outcome of a request whose record this service could not handle: it fails once and clearly, not never."""

from collections.abc import Callable, Sequence

from allweather.contracts import headers, ids, topics
from allweather.contracts.failures import OutcomeKind
from allweather.contracts.model import iso_time
from allweather.contracts.records import NOTHING, Ended, EventType, encode
from allweather.messaging import Message, Record
from allweather.policy import intake


def outcome_for(secret: bytes) -> Callable[[Record, str], Sequence[Message]]:
    """What to publish beside a dead letter: the end of the request that it submitted.

    It carries no slip: without a verdict there is none, and the router settles at the tenant's default topic.
    """

    def ended(record: Record, reason: str) -> Sequence[Message]:  # noqa: ARG001 - ours to know, not the caller's
        try:
            identity = intake.identify(record, secret)
        except Exception:  # noqa: BLE001 - the record has broken us once already; its dead letter must still be written
            return ()
        request = str(identity.request_id).encode()
        position = ids.position_key(record.topic, record.partition, record.offset)
        data = Ended(
            outcome=OutcomeKind.DEAD_LETTERED,
            reason="This request could not be handled. It is kept for the operator to look at.",
            at_ms=record.timestamp_ms,
        )
        event = ids.event_id(identity.request_id, f"dead-lettered/{position}")
        told = (
            (headers.CONTENT_TYPE, b"application/json"),
            (headers.CE_SPECVERSION, b"1.0"),
            (headers.CE_ID, event.encode()),
            (headers.CE_SOURCE, b"/allweather/policy"),
            (headers.CE_TYPE, EventType.DEAD_LETTERED.encode()),
            (headers.CE_TIME, iso_time(record.timestamp_ms).encode()),
            (headers.CE_SUBJECT, request),
            (headers.CE_TENANT, identity.tenant.encode()),
            (headers.CE_CAUSATION, position.encode()),
        )
        return [Message(topics.RESULTS, encode(NOTHING, data), request, told)]

    return ended
