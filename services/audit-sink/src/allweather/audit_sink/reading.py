"""Records become entries, which name and digest everything and quote nothing. Pure.

An entry holds where the record stood, whose request it belongs to, what caused it, a digest of its headers and of its
value, and the decision data of our own events (verdict, routing decision, result, parking), which hold no content.
Bodies, answers and tool calls are digests only. Every record gets an entry, also one that nobody can read.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import msgspec

from allweather.audit_sink.entries import GAP, VERSION, Digests, Entry, canonical, fingerprint, tame, tamed
from allweather.contracts import headers, ids, topics
from allweather.contracts.model import digest
from allweather.contracts.records import EventType, MalformedRecord, decode
from allweather.contracts.slip import Dialect
from allweather.contracts.submission import submission_key
from allweather.messaging.types import Headers, Record

PIPELINE: Final = r"^ai\.(public\.(requests|replies)|internal\.(?!deltas\.))[a-z0-9._-]+$"
"""Every topic that gets entries: all of the pipeline but the deltas, whose digest the result holds."""

_NAME_LIMIT: Final = 200

_COPIED: Final = frozenset(
    {
        headers.DIALECT, headers.PRIORITY, headers.DEADLINE, headers.REGION, headers.DATA_CLASS, headers.REPLY_TOPIC,
        headers.OUTCOME, headers.STATUS, headers.MODEL, headers.DEPLOYMENT, headers.COST, headers.PRICES,
        headers.ATTEMPTS, headers.CALL_ID, headers.REQUEST_ID, headers.REPLY_FALLBACK, headers.DLQ_REASON,
        headers.DLT_TOPIC,
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

_UNREADABLE: Final = (MalformedRecord, msgspec.MsgspecError, UnicodeError, RecursionError, ValueError)
_NOTHING: Final = b"null"
_DLQ: Final = topics.dead_letters("")

Told = Mapping[str, bytes | None]
"""A record's headers; of several with the same name the last one."""


class _Slip(msgspec.Struct):
    """Of a slip: whose it is, and what changes from step to step."""

    request_id: UUID
    tenant: str
    route: str = ""
    body_digest: str = ""
    position: int = 0
    episode: int = 1
    parks: int = 0

    def fields(self) -> dict[str, Any]:
        """What an entry says of it beside whose it is."""
        return {
            "route": self.route,
            "body_digest": self.body_digest,
            "position": self.position,
            "episode": self.episode,
            "parks": self.parks,
        }


class _Cleared(_Slip):
    """The slip of a verdict, where it is told in full."""

    dialect: str = Dialect.OPENAI_CHAT
    priority: str = ""
    stream: bool = False
    data_class: str | None = None
    accepted_at_ms: int = 0
    deadline_ms: int = 0
    body_ref: str | None = None
    needs: Any = None
    verdict: Any = None
    reply: "_Reply | None" = None

    def fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = msgspec.to_builtins(self)
        del fields["request_id"], fields["tenant"]
        return fields


class _Reply(msgspec.Struct, omit_defaults=True):
    topic: str
    partition: int | None = None
    door: str | None = None


_slip = msgspec.json.Decoder(_Slip)
_cleared = msgspec.json.Decoder(_Cleared, float_hook=str)


def entry_of(record: Record, index: int) -> Entry:
    """The entry of `record` as number `index` of its shard, which is the record's partition."""
    told = dict(record.headers)
    entry = Entry(
        v=VERSION,
        shard=record.partition,
        index=index,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp=record.timestamp_ms,
        type=_name(told.get(headers.CE_TYPE)),
        key=_key(record),
        ce_id=_name(told.get(headers.CE_ID)),
        causation=_name(told.get(headers.CE_CAUSATION)),
        source=_name(told.get(headers.CE_SOURCE)),
        tenant=_name(told.get(headers.CE_TENANT)),
        digests=Digests(_digest_of_headers(record.headers), _digest(record.value)),
    )
    if copied := _COPIED.intersection(told):
        entry.headers = {name: _name(told[name]) for name in copied}
    _teller(record.topic)(record, told, entry)
    return entry


def gap_before(record: Record, first_missing: int, index: int) -> Entry:
    """The entry that says: the records from `first_missing` up to `record` were gone before they could be read."""
    return Entry(
        v=VERSION,
        shard=record.partition,
        index=index,
        topic=record.topic,
        partition=record.partition,
        offset=first_missing,
        until=record.offset,
        timestamp=record.timestamp_ms,
        type=GAP,
    )


def fingerprint_of(record: Record) -> bytes:
    """The same as of the record's entry, or the record is another one."""
    return fingerprint(_digest_of_headers(record.headers), _digest(record.value), _key(record), record.timestamp_ms)


def _tell_submission(record: Record, told: Told, entry: Entry) -> None:
    """A request: the topic says whose it is, and its id is derived as policy derives it."""
    entry.type = EventType.SUBMITTED
    entry.tenant = topics.tenant_of_requests(record.topic.removesuffix(_DLQ))
    entry.request_id = ids.request_id(entry.tenant, submission_key(told, record.value, _origin(record, told)))


def _origin(record: Record, told: Told) -> tuple[str, int, int]:
    """Where the record stands, or first stood if it is a dead letter."""
    topic, partition, offset = (
        told.get(name) for name in (headers.DLT_TOPIC, headers.DLT_PARTITION, headers.DLT_OFFSET)
    )
    if topic is None or partition is None or offset is None:
        return record.topic, record.partition, record.offset
    return topic.decode("utf-8", "replace"), int.from_bytes(partition, "big"), int.from_bytes(offset, "big")


def _tell_reply(_record: Record, told: Told, entry: Entry) -> None:
    """A reply: what it says besides its body stands in its headers."""
    entry.request_id = _uuid(told.get(headers.CE_SUBJECT))


def _tell_internal(record: Record, told: Told, entry: Entry) -> None:
    """An envelope: the slip says whose it is, the data what was decided or measured."""
    try:
        envelope = decode(record.value)
        if bytes(envelope.slip) != _NOTHING:
            slip = (_cleared if entry.type == EventType.CLEARED else _slip).decode(envelope.slip)
            entry.request_id, entry.tenant = slip.request_id, slip.tenant
            entry.slip = tame(slip.fields())
        if entry.type in _DECISIONS:
            entry.data = tamed(envelope.data)
        if bytes(envelope.response) != _NOTHING:
            entry.digests.response = digest(envelope.response)
    except _UNREADABLE as error:
        entry.malformed = type(error).__name__
    if entry.request_id is None:  # a cancellation, or a dead letter's end: its headers know
        entry.request_id = _uuid(told.get(headers.CE_SUBJECT))


def _tell_nothing(_record: Record, _told: Told, _entry: Entry) -> None:
    """Any other record (a configuration): its digests say enough."""


@lru_cache(maxsize=1024)
def _teller(topic: str) -> Callable[[Record, Told, Entry], None]:
    """How records of `topic` are read; dead letters like those of the topic that they come from."""
    topic = topic.removesuffix(_DLQ)
    if topic.startswith("ai.public.requests."):
        return _tell_submission
    if topic.startswith("ai.public.replies.") or topic == topics.DOOR:
        return _tell_reply
    return _tell_nothing if topic == topics.CONFIG else _tell_internal


def _key(record: Record) -> str | None:
    return _digest(record.key) if _teller(record.topic) is _tell_submission else _name(record.key)


def _name(raw: bytes | None) -> str | None:
    """A name, address or identifier as it is, unless it is too long to be one: then its digest."""
    if raw is None:
        return None
    return raw.decode("utf-8", "replace") if len(raw) <= _NAME_LIMIT else f"sha256:{digest(raw)}"


def _uuid(raw: bytes | None) -> UUID | None:
    try:
        return UUID(raw.decode()) if raw else None
    except ValueError:
        return None


def _digest(content: bytes | None) -> str | None:
    return None if content is None else digest(content)


def _digest_of_headers(told: Headers) -> str:
    return digest(canonical(told))
