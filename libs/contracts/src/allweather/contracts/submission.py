"""Under which key a record of a request topic was submitted: one answer for everybody who derives the request id."""

from collections.abc import Mapping

import msgspec

from allweather.contracts import headers, ids

_STRUCTURED = b"application/cloudevents"


class _Event(msgspec.Struct):
    id: str = ""


_event = msgspec.json.Decoder(_Event)


def is_structured(given: Mapping[str, bytes | None]) -> bool:
    """Whether the value is a CloudEvent in structured mode. The content type decides; `ce_` headers do not."""
    return (given.get(headers.CONTENT_TYPE) or b"").strip().lower().startswith(_STRUCTURED)


def submission_key(given: Mapping[str, bytes | None], value: bytes | None, place: tuple[str, int, int]) -> str:
    """The idempotency key, else the event's id, else the place (topic, partition, offset) of the record.

    A key or id that cannot be read counts as none.
    """
    event = _id_inside(value) if is_structured(given) else _text(given.get(headers.CE_ID))
    return _text(given.get(headers.IDEMPOTENCY_KEY)) or event or ids.position_key(*place)


def _id_inside(value: bytes | None) -> str:
    try:
        return _event.decode(value or b"").id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""


def _text(value: bytes | None) -> str:
    try:
        return (value or b"").decode()
    except UnicodeDecodeError:
        return ""
