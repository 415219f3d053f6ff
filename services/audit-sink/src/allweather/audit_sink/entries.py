"""Records become entries: canonical JSON of at most 8 KiB that names and digests everything and quotes nothing. Pure.

An entry holds where the record stood, whose request it belongs to, what caused it, a digest of its headers and of its
value, and the decision data of our own events (verdict, routing decision, result, parking), which hold no content.
Bodies, answers and tool calls are digests only. Every record gets an entry, also one that nobody can read.

Canonical is RFC 8785. The value space is kept so small that a fast encoder gives exactly those bytes: no floats (a
number with a fraction or an exponent is kept as its text), integers below 2^53 (larger ones as text), ASCII keys.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, reduce
from hashlib import sha256
from typing import Any, Final, cast
from uuid import UUID

import msgspec

from allweather.contracts import headers, ids, topics
from allweather.contracts.model import digest
from allweather.contracts.records import EventType, MalformedRecord, decode
from allweather.messaging.types import Headers, Record

VERSION: Final = 1
LIMIT: Final = 8192
FINGERPRINT_BYTES: Final = 16
GAP: Final = "ai.audit.gap"
"""The type of an entry that stands for records which were gone before they could be read."""

PIPELINE: Final = r"^ai\.(public\.(requests|replies)|internal\.(?!deltas\.))[a-z0-9._-]+$"
"""Every topic that gets entries: all of the pipeline but the deltas, whose digest the result holds."""

_NAME_LIMIT: Final = 200
_TEXT_LIMIT: Final = 500
_LARGEST_INTEGER: Final = 2**53 - 1

_COPIED: Final = frozenset(
    {
        headers.DIALECT, headers.PRIORITY, headers.DEADLINE, headers.REGION, headers.DATA_CLASS, headers.REPLY_TOPIC,
        headers.OUTCOME, headers.STATUS, headers.MODEL, headers.DEPLOYMENT, headers.COST, headers.ATTEMPTS,
        headers.CALL_ID, headers.REQUEST_ID, headers.REPLY_FALLBACK, headers.DLQ_REASON, headers.DLT_TOPIC,
    }
)  # fmt: skip
"""Headers that are decision data; all others are in the digest only."""

_DECISIONS: Final = frozenset(
    {
        EventType.DISPATCHED, EventType.ATTEMPTED, EventType.PARKED, EventType.RELEASED,
        EventType.EXPIRED, EventType.CANCELLED, EventType.DEAD_LETTERED,
    }
)  # fmt: skip
"""Events whose data is copied: their models hold decisions and measurements, never content."""

_SHED: Final = (("data", "decision"), ("data",), ("slip",), ("headers",))
"""What an entry gives up for its digest, in this order, until it is small enough."""

_ORIGIN: Final = (headers.DLT_TOPIC, headers.DLT_PARTITION, headers.DLT_OFFSET)

_UNREADABLE: Final = (MalformedRecord, msgspec.MsgspecError, UnicodeError, RecursionError, ValueError)

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """One leaf of a shard's tree, with what its row is found by."""

    index: int
    request_id: UUID | None
    topic: str
    offset: int
    content: bytes


class _Slip(msgspec.Struct):
    request_id: UUID
    tenant: str
    route: str = ""
    body_digest: str = ""
    position: int = 0
    episode: int = 1
    parks: int = 0


_CHANGING: Final = ("route", "body_digest", "position", "episode", "parks")


class _Cleared(_Slip):
    """The slip of a verdict, where it is told in full; later entries tell what has changed."""

    dialect: str = ""
    priority: str = ""
    stream: bool = False
    data_class: str | None = None
    accepted_at_ms: int = 0
    deadline_ms: int = 0
    body_ref: str | None = None
    needs: Any = None
    verdict: Any = None
    reply: "_Reply | None" = None


class _Reply(msgspec.Struct, omit_defaults=True):
    topic: str
    partition: int | None = None
    door: str | None = None


class _Structured(msgspec.Struct):
    id: str = ""


_encoder = msgspec.json.Encoder(order="sorted")
_slip = msgspec.json.Decoder(_Slip)
_cleared = msgspec.json.Decoder(_Cleared, float_hook=str)
_data = msgspec.json.Decoder(dict[str, Any], float_hook=str)
_structured = msgspec.json.Decoder(_Structured)


def entry_of(record: Record, index: int) -> Entry:
    """The entry of `record` as number `index` of its shard, which is the record's partition."""
    told = {name: value.decode("utf-8", "replace") for name, value in record.headers if value is not None}
    fields: Fields = {
        "v": VERSION,
        "shard": record.partition,
        "index": index,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp_ms,
        "type": _name(told.get(headers.CE_TYPE)),
        "key": _key(record.key),
        "ce_id": _name(told.get(headers.CE_ID)),
        "causation": _name(told.get(headers.CE_CAUSATION)),
        "source": _name(told.get(headers.CE_SOURCE)),
        "tenant": _name(told.get(headers.CE_TENANT)),
        "request_id": None,
        "digests": {"headers": digest_of_headers(record.headers), "value": _digest_or_none(record.value)},
        "headers": {name: _name(told[name]) for name in _COPIED.intersection(told)},
    }
    _teller(record.topic)(record, told, fields)
    return Entry(index, fields["request_id"], record.topic, record.offset, _encoded(fields))


def gap_entry(before: Record, first_missing: int, index: int) -> Entry:
    """The entry that says: the records from `first_missing` up to `before` were gone before they could be read."""
    fields: Fields = {
        "v": VERSION,
        "shard": before.partition,
        "index": index,
        "topic": before.topic,
        "partition": before.partition,
        "offset": first_missing,
        "until": before.offset,
        "timestamp": before.timestamp_ms,
        "type": GAP,
    }
    return Entry(index, None, before.topic, first_missing, _encoded(fields))


def digest_of_headers(headers: Headers) -> str:
    """SHA-256 of the headers, in their order, as the canonical JSON of `[[name, base64 of the value or null], ...]`."""
    return digest(_encoder.encode(headers))


def fingerprint(record: Record) -> bytes:
    """What an entry says of its record's bytes, in 16 bytes: equal to the entry's own, or the record differs."""
    key = _digest_or_none(record.key) if _teller(record.topic) is _tell_submission else _key(record.key)
    return fingerprint_of(digest_of_headers(record.headers), _digest_or_none(record.value), key, record.timestamp_ms)


def fingerprint_of(headers: str | None, value: str | None, key: str | None, timestamp: int) -> bytes:
    """The fingerprint made of what an entry says."""
    return sha256(f"{headers}:{value}:{timestamp}:{key}".encode()).digest()[:FINGERPRINT_BYTES]


def _tell_submission(record: Record, told: Mapping[str, str], fields: Fields) -> None:
    """A request: the topic says whose it is, and its id is derived as policy derives it."""
    tenant = topics.tenant_of_requests(record.topic.removesuffix(_DLQ))
    fields |= {
        "type": str(EventType.SUBMITTED),
        "tenant": tenant,
        "key": _digest_or_none(record.key),  # the application's own, which may be an address or a name
        "request_id": ids.request_id(tenant, _submission_key(record, told)),
    }


def _submission_key(record: Record, told: Mapping[str, str]) -> str:
    key = told.get(headers.CE_ID)
    if told.get(headers.CONTENT_TYPE, "").strip().lower().startswith("application/cloudevents"):
        key = _structured_id(record.value)
    if key:
        return key
    origin = _original(record)
    return ids.position_key(*origin) if origin else ids.position_key(record.topic, record.partition, record.offset)


def _structured_id(value: bytes | None) -> str | None:
    try:
        return _structured.decode(value or b"").id
    except _UNREADABLE:
        return None


def _tell_reply(_record: Record, told: Mapping[str, str], fields: Fields) -> None:
    """A reply: what it says besides its body stands in its headers."""
    fields["request_id"] = _uuid(told.get(headers.CE_SUBJECT))


def _tell_internal(record: Record, told: Mapping[str, str], fields: Fields) -> None:
    """An envelope: the slip says whose it is, the data what was decided or measured."""
    try:
        envelope = decode(record.value)
        if bytes(envelope.slip) != b"null":
            slip = (_cleared if fields["type"] == EventType.CLEARED else _slip).decode(envelope.slip)
            fields |= {"request_id": slip.request_id, "tenant": _name(slip.tenant), "slip": _slip_fields(slip)}
        if fields["type"] in _DECISIONS:
            fields["data"] = _tamed(_data.decode(envelope.data))
        if bytes(envelope.response) != b"null":
            fields["digests"]["response"] = digest(envelope.response)
    except _UNREADABLE as error:
        fields["malformed"] = type(error).__name__
    if fields["request_id"] is None:  # a cancellation, or a dead letter's end: its headers know
        fields["request_id"] = _uuid(told.get(headers.CE_SUBJECT))


def _slip_fields(slip: _Slip) -> Fields:
    """The slip's fields but those that stand in the entry itself."""
    if not isinstance(slip, _Cleared):
        return {name: getattr(slip, name) for name in _CHANGING}
    fields: Fields = msgspec.to_builtins(slip)
    del fields["request_id"], fields["tenant"]
    return _tamed(fields)


def _tell_nothing(_record: Record, _told: Mapping[str, str], _fields: Fields) -> None:
    """Any other record (a configuration): its digests say enough."""


_DLQ: Final = topics.dead_letters("")


@lru_cache(maxsize=1024)
def _teller(topic: str) -> Callable[[Record, Mapping[str, str], Fields], None]:
    """How records of `topic` are read; dead letters like those of the topic that they come from."""
    topic = topic.removesuffix(_DLQ)
    if topic.startswith("ai.public.requests."):
        return _tell_submission
    if topic.startswith("ai.public.replies.") or topic == topics.DOOR:
        return _tell_reply
    return _tell_nothing if topic == topics.CONFIG else _tell_internal


def _tamed(fields: Fields) -> Fields:
    """`fields` brought into the value space, in place: texts cut, large integers as text.

    Raises ValueError when a key is not ASCII.
    """
    _tame(fields, fields.items())
    return fields


def _tame(parent: Any, items: Iterable[tuple[str | int, Any]]) -> None:
    for place, item in items:
        kind = item.__class__
        if kind is str and len(item) > _TEXT_LIMIT:
            parent[place] = f"{item[:_TEXT_LIMIT]}... ({len(item)} characters)"
        elif kind is int and not -_LARGEST_INTEGER <= item <= _LARGEST_INTEGER:
            parent[place] = str(item)
        elif kind is dict:
            _tame(item, item.items())
        elif kind is list:
            _tame(item, enumerate(cast(list[Any], item)))
        if isinstance(place, str) and not place.isascii():
            raise ValueError("a key that is not ASCII")


def _encoded(fields: Fields) -> bytes:
    """The canonical JSON of an entry without its empty fields, with parts replaced by digests until it fits."""
    fields = {name: value for name, value in fields.items() if value is not None and value != {}}
    content = _encoder.encode(fields)
    for *path, last in _SHED:
        if len(content) <= LIMIT:
            break
        parent = reduce(lambda part, name: part.get(name, {}), path, fields)
        if last in parent:
            parent[last] = {"sha256": digest(_encoder.encode(parent[last]))}
            content = _encoder.encode(fields)
    return content


def _name(text: str | None) -> str | None:
    """A name, address or identifier as it is, unless it is too long to be one: then its digest."""
    return text if text is None or len(text) <= _NAME_LIMIT else f"sha256:{digest(text.encode())}"


def _key(key: bytes | None) -> str | None:
    return None if key is None else _name(key.decode("utf-8", "replace"))


def _digest_or_none(content: bytes | None) -> str | None:
    return None if content is None else digest(content)


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


def _original(record: Record) -> tuple[str, int, int] | None:
    """Where a dead letter first stood."""
    topic, partition, offset = (record.header(name) for name in _ORIGIN)
    if topic is None or partition is None or offset is None:
        return None
    return topic.decode("utf-8", "replace"), int.from_bytes(partition, "big"), int.from_bytes(offset, "big")
