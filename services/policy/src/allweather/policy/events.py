"""Request records as CloudEvents: binary mode, structured mode, or no event at all but only a body."""

import base64
import binascii

import msgspec

from allweather.contracts import headers
from allweather.contracts.submission import is_structured
from allweather.dialects.invalid import Invalid
from allweather.policy.given import Given

_BATCH = b"application/cloudevents-batch"


class _Structured(msgspec.Struct):
    id: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")
    data_base64: str | None = None


_decoder = msgspec.json.Decoder(_Structured)


def data_of(given: Given, value: bytes | None) -> bytes:
    """The body in a request record, whichever mode its event is in. Raises `Invalid`."""
    if (given.raw(headers.CONTENT_TYPE) or b"").strip().lower().startswith(_BATCH):
        raise Invalid("unsupported_event", "Batches of CloudEvents are not supported: send one event in each record.")
    return _structured(value) if is_structured(given.all) else value or b""


def _structured(value: bytes | None) -> bytes:
    try:
        event = _decoder.decode(value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid("invalid_event", f"The structured CloudEvent cannot be read: {error}.") from error
    return _data(event)


def _data(event: _Structured) -> bytes:
    if event.data_base64 is None:
        return bytes(event.data)
    try:
        return base64.b64decode(event.data_base64, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Invalid("invalid_event", "'data_base64' of the structured CloudEvent is not base64.") from error
