"""Request records as CloudEvents: binary mode, structured mode, or no event at all but only a body.

The content type decides first: a structured event may also carry `ce_` headers.
"""

import base64
import binascii
from dataclasses import dataclass

import msgspec

from allweather.contracts import headers
from allweather.policy.given import Given
from allweather.policy.invalid import Invalid

_STRUCTURED = b"application/cloudevents"
_BATCH = b"application/cloudevents-batch"


@dataclass(frozen=True, slots=True)
class Event:
    """What matters of the event: its id, if it has one, and its data."""

    id: str | None
    data: bytes


class _Structured(msgspec.Struct):
    id: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")
    data_base64: str | None = None


_decoder = msgspec.json.Decoder(_Structured)


def read(given: Given, value: bytes | None) -> Event:
    """The event in a request record. Raises `Invalid`."""
    content_type = (given.raw(headers.CONTENT_TYPE) or b"").strip().lower()
    if content_type.startswith(_BATCH):
        raise Invalid("unsupported_event", "Batches of CloudEvents are not supported: send one event in each record.")
    if content_type.startswith(_STRUCTURED):
        return _structured(value)
    return Event(given.text(headers.CE_ID) or None, value or b"")


def _structured(value: bytes | None) -> Event:
    try:
        event = _decoder.decode(value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid("invalid_event", f"The structured CloudEvent cannot be read: {error}.") from error
    return Event(event.id or None, _data(event))


def _data(event: _Structured) -> bytes:
    if event.data_base64 is None:
        return bytes(event.data)
    try:
        return base64.b64decode(event.data_base64, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Invalid("invalid_event", "'data_base64' of the structured CloudEvent is not base64.") from error
