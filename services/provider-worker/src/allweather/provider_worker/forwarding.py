"""The caller's own body on its way to a vendor that speaks the caller's dialect: every other field stays as it is."""

from typing import Final, TypeAlias

import msgspec

from allweather.contracts.failures import FailureKind
from allweather.provider_worker.wire import failed

Fields: TypeAlias = dict[str, msgspec.Raw]
"""The fields of a JSON object by name, their values as the caller wrote them."""

TRUE: Final = msgspec.Raw(b"true")
FALSE: Final = msgspec.Raw(b"false")


def fields(body: bytes) -> Fields:
    """The fields of a body. Raises `Failed` (invalid) when it is not an object."""
    try:
        return _decoder.decode(body)
    except msgspec.MsgspecError:
        raise failed(FailureKind.INVALID, "The body is not a JSON object.", code="invalid_body") from None


def addressed(body: bytes, model: str, *, stream: bool) -> Fields:
    """The fields with the vendor's name of the model, asked to stream or not."""
    changed = fields(body)
    changed["model"] = raw(model)
    changed.pop("stream", None)
    if stream:
        changed["stream"] = TRUE
    return changed


def raw(value: object) -> msgspec.Raw:
    """A value of our own among those of the caller."""
    return msgspec.Raw(msgspec.json.encode(value))


_decoder: Final = msgspec.json.Decoder(Fields)
