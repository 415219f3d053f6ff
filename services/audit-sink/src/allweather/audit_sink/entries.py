"""What an entry of the log is: a small canonical JSON object, and how it is written and read. Pure.

Canonical is RFC 8785. The value space is kept so small that a fast encoder gives exactly those bytes: no floats (a
number with a fraction or an exponent is kept as its text), integers below 2^53 (larger ones as text), ASCII keys.
"""

from collections.abc import Iterable
from functools import reduce
from hashlib import sha256
from typing import Annotated, Any, Final, cast
from uuid import UUID

import msgspec
from msgspec import Meta

from allweather.contracts.model import digest

VERSION: Final = 1
LIMIT: Final = 8192
FINGERPRINT_BYTES: Final = 16
GAP: Final = "ai.audit.gap"
"""The type of an entry that stands for records which were gone before they could be read."""

TEXT_LIMIT: Final = 500
_LARGEST_INTEGER: Final = 2**53 - 1

_SHED: Final = (("data", "decision"), ("data",), ("slip",), ("headers",))
"""What an entry gives up for its digest, in this order, until it is small enough."""


class Digests(msgspec.Struct, omit_defaults=True):
    """SHA-256, in hexadecimal, of what an entry does not quote."""

    headers: str | None = None
    """Of all headers, in their order, as the canonical JSON of `[[name, base64 of the value or null], ...]`."""
    value: str | None = None
    """Of the record's value; None for a null value."""
    response: str | None = None
    """Of the answer inside the value, where there is one: it ties a result to the reply that carries it."""


class Entry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One leaf of a shard's tree."""

    v: int
    shard: int
    index: int
    topic: str
    partition: int
    offset: int
    until: int | None = None
    """Of a gap: the first offset that is there again."""
    timestamp: int
    type: str | None = None
    key: str | None = None
    """The record's key; of a tenant's own record its digest, because it may be an address or a name."""
    ce_id: str | None = None
    causation: str | None = None
    source: str | None = None
    tenant: str | None = None
    request_id: UUID | None = None
    digests: Digests = msgspec.field(default_factory=Digests)
    headers: dict[str, Any] | None = None
    """The headers that are decision data."""
    slip: dict[str, Any] | None = None
    """The slip's fields: all that policy decided in a verdict, later those that change."""
    data: dict[str, Any] | None = None
    """The event's own data: a decision, a measurement."""
    malformed: str | None = None
    """Why the value could not be read."""

    def fingerprint(self) -> bytes:
        """What the entry says of its record's bytes, in little: see `fingerprint`."""
        return fingerprint(self.digests.headers, self.digests.value, self.key, self.timestamp)


_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder(Entry)


def encode(entry: Entry) -> bytes:
    """The canonical JSON of `entry`, with parts replaced by their digests until it fits into the limit."""
    content = _encoder.encode(entry)
    return content if len(content) <= LIMIT else _shed(msgspec.json.decode(content))


def decode(content: bytes) -> Entry:
    """The entry in `content`. Raises ValueError when it is not one."""
    return _decoder.decode(content)


def canonical(value: Any) -> bytes:
    """The canonical JSON of a value inside the value space."""
    return _encoder.encode(value)


def fingerprint(headers: str | None, value: str | None, key: str | None, timestamp: int) -> bytes:
    """A record's bytes in 16 bytes: two records with the same one are the same record."""
    return sha256(f"{headers}:{value}:{timestamp}:{key}".encode()).digest()[:FINGERPRINT_BYTES]


def _value_space(depth: int) -> Any:
    """The type of values that need no taming, if their keys are ASCII, and lie at most so deep."""
    integer = Annotated[int, Meta(ge=-_LARGEST_INTEGER, le=_LARGEST_INTEGER)]
    flat: Any = None | bool | integer | Annotated[str, Meta(max_length=TEXT_LIMIT)]
    if depth == 0:
        return flat
    inner = _value_space(depth - 1)
    return flat | list[inner] | dict[str, inner]


_tame_decoder = msgspec.json.Decoder(dict[str, _value_space(4)])
_wild_decoder = msgspec.json.Decoder(dict[str, Any], float_hook=str)


def tamed(raw: msgspec.Raw) -> dict[str, Any]:
    """The JSON object in `raw`, brought into the value space. Raises ValueError when it is none, or a key is not ASCII.

    Nearly always it is there already, which the decoder finds out by the way.
    """
    content = bytes(raw)
    if content.isascii() and b"\\" not in content:  # so are the keys
        try:
            return _tame_decoder.decode(content)
        except msgspec.ValidationError:
            pass
    return tame(_wild_decoder.decode(content))


def tame(fields: dict[str, Any]) -> dict[str, Any]:
    """`fields` brought into the value space, in place: texts cut, large integers as text.

    Raises ValueError when a key is not ASCII.
    """
    if not "".join(fields).isascii():
        raise ValueError("a key that is not ASCII")
    _tame(fields, fields.items())
    return fields


def _tame(parent: Any, items: Iterable[tuple[str | int, Any]]) -> None:
    for place, item in items:
        kind = item.__class__
        if kind is str:
            if len(item) > TEXT_LIMIT:
                parent[place] = f"{item[:TEXT_LIMIT]}... ({len(item)} characters)"
        elif kind is dict:
            tame(item)
        elif kind is list:
            _tame(item, enumerate(cast(list[Any], item)))
        elif kind is int and abs(item) > _LARGEST_INTEGER:
            parent[place] = str(item)


def _shed(fields: dict[str, Any]) -> bytes:
    content = b""
    for *path, last in _SHED:
        parent = reduce(lambda part, name: part.get(name, {}), path, fields)
        if last in parent:
            parent[last] = {"sha256": digest(_encoder.encode(parent[last]))}
        content = _encoder.encode(fields)
        if len(content) <= LIMIT:
            break
    return content
