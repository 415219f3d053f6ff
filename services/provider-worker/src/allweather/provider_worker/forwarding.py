"""The caller's own body on its way to a vendor that speaks the caller's dialect: every other field stays as it is."""

from collections.abc import Callable, Iterable
from typing import Final, TypeAlias, cast

import msgspec

from allweather.contracts.conversation import Json
from allweather.contracts.failures import FailureKind
from allweather.provider_worker.wire import failed

Fields: TypeAlias = dict[str, msgspec.Raw]
"""The fields of a JSON object by name, their values as the caller wrote them."""

TRUE: Final = msgspec.Raw(b"true")
FALSE: Final = msgspec.Raw(b"false")
NULL: Final = msgspec.Raw(b"null")


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


def mend(changed: Fields, name: str, work: Callable[[list[Json]], Iterable[Json]]) -> None:
    """Keep of a list of objects what `work` leaves of it; what it leaves as it is stays in the caller's own bytes."""
    given: object = msgspec.json.decode(changed.get(name, NULL))
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in cast(list[object], given)):
        return
    items = cast(list[Json], given)
    left = list(work(items))
    if left != items:
        changed[name] = raw(left)


def raw(value: object) -> msgspec.Raw:
    """A value of our own among those of the caller."""
    return msgspec.Raw(msgspec.json.encode(value))


_decoder: Final = msgspec.json.Decoder(Fields)
