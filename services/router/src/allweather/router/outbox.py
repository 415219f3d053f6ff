"""Steps as messages: what is published when a step is carried out, the same bytes each time."""

import base64
from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

import msgspec

from allweather.contracts import errors, headers, ids, topics
from allweather.contracts.failures import OutcomeKind
from allweather.contracts.model import iso_time
from allweather.contracts.records import NOTHING, Dispatch, Ended, EventType, Parked, Settled, encode
from allweather.contracts.slip import ReplyAddress
from allweather.messaging import Headers, Message, Record
from allweather.router.arbitration import Carried
from allweather.router.events import Occurrence
from allweather.router.steps import OUTCOME, Row

_JSON: Final = b"application/json"
_SOURCE: Final = b"/allweather/router"
_DEAD: Final = "A record of this request could not be handled; an operator finds it in the dead letters"
_CONFLICT: Final = errors.conflict("This idempotency key was used before, with another body. Send a new key.")

Partitions = Callable[[str], int | None]
"""How many partitions a topic has, None when there is no such topic: from memory."""


class Outbox:
    """Writes the router's messages. Reply addresses are held against what the broker is known to have."""

    def __init__(self, partitions: Partitions, secret: bytes) -> None:
        self._partitions = partitions
        self._secret = secret

    def step(self, carried: Carried) -> Message:
        """The message that carries out a step."""
        match carried.step.decision:
            case Dispatch(vendor=vendor):
                return _internal(topics.dispatch(vendor), EventType.DISPATCHED, carried)
            case Parked():
                return _internal(topics.PARKED, EventType.PARKED, carried)
            case Settled() as settled:
                return self._answer(carried.row, settled, carried.step.slip.reply)

    def answer(self, outcome: Row, address: ReplyAddress) -> Message:
        """The stored reply of a settled request, to one address."""
        return self._answer(outcome, Settled.from_json(outcome.decision), address)

    def _answer(self, outcome: Row, settled: Settled, address: ReplyAddress) -> Message:
        said = _said(settled)
        event_id, key = ids.event_id(outcome.request_id, OUTCOME), _key(outcome.request_id)
        attributes = _attributes(EventType.SETTLED, event_id, key, outcome.tenant, outcome.at_ms, outcome.cause_id)
        return self._reply(address, outcome, outcome.reply, (*attributes, *said), key)

    def conflict(self, seen: Occurrence, verdict: Row) -> Message:
        """The reply to a submission whose key another body has used: no outcome, and nothing else happens."""
        key, at_ms = _key(seen.request_id), seen.slip.accepted_at_ms
        event_id = ids.event_id(seen.request_id, f"conflict/{ids.position_key(*seen.cause)}")
        attributes = _attributes(EventType.CONFLICTED, event_id, key, verdict.tenant, at_ms, seen.cause_id)
        said = ((headers.OUTCOME, b"conflict"), (headers.STATUS, str(_CONFLICT.status).encode()))
        body = errors.render(_CONFLICT, seen.slip.dialect)
        return self._reply(seen.slip.reply, verdict, body, (*attributes, *said), key)

    def _reply(self, address: ReplyAddress, row: Row, body: bytes | None, said: Headers, key: bytes) -> Message:
        topic, partition, fallback = self._existing(address, row.tenant)
        public_id = ids.public_id(row.request_id, row.tenant, self._secret)
        addressed: Headers = ((headers.REQUEST_ID, public_id.encode()), *_echoed(address), *fallback)
        return Message(topic, body, key, (*said, *addressed), partition)

    def _existing(self, address: ReplyAddress, tenant: str) -> tuple[str, int | None, Headers]:
        """Where the reply can go: the address, else the tenant's default topic with the reason why."""
        partitions = self._partitions(address.topic)
        if partitions is None:
            reason = f"there is no topic {address.topic}"
        elif address.partition is not None and address.partition >= partitions:
            reason = f"{address.topic} has no partition {address.partition}"
        else:
            return address.topic, address.partition, ()
        return topics.replies(tenant), None, ((headers.REPLY_FALLBACK, reason.encode()),)


def dead_lettered(record: Record, reason: str) -> Sequence[Message]:
    """The end of a request whose record can never be handled; none when it does not say which request it was."""
    request, tenant = record.text(headers.CE_SUBJECT), record.text(headers.CE_TENANT)
    if not request or not tenant or record.text(headers.CE_TYPE) == EventType.DEAD_LETTERED:
        return ()
    try:
        request_id = UUID(request)
    except ValueError:
        return ()
    place = ids.position_key(record.topic, record.partition, record.offset)
    end = Ended(outcome=OutcomeKind.DEAD_LETTERED, reason=f"{_DEAD} ({reason}).", at_ms=record.timestamp_ms)
    value = encode(NOTHING, end)
    kind, step = EventType.DEAD_LETTERED, f"dead-lettered/{place}"
    return (event(topics.RESULTS, kind, request_id, tenant, step, value, at_ms=record.timestamp_ms, cause=place),)


def event(
    topic: str, kind: EventType, request: UUID, tenant: str, step: str, value: bytes, *, at_ms: int, cause: str
) -> Message:
    """An internal record: the same each time its step is carried out."""
    key = _key(request)
    return Message(topic, value, key, _attributes(kind, ids.event_id(request, step), key, tenant, at_ms, cause))


def _internal(topic: str, kind: EventType, carried: Carried) -> Message:
    row = carried.row
    value = encode(carried.step.slip, msgspec.Raw(row.decision), carried.seen.body)
    return event(topic, kind, row.request_id, row.tenant, row.step, value, at_ms=row.at_ms, cause=row.cause_id)


def _key(request: UUID) -> bytes:
    return str(request).encode()


def _attributes(kind: EventType, event_id: str, subject: bytes, tenant: str, at_ms: int, cause: str) -> Headers:
    """The CloudEvents attributes in binary mode."""
    return (
        (headers.CONTENT_TYPE, _JSON),
        (headers.CE_SPECVERSION, b"1.0"),
        (headers.CE_ID, event_id.encode()),
        (headers.CE_SOURCE, _SOURCE),
        (headers.CE_TYPE, kind.encode()),
        (headers.CE_TIME, iso_time(at_ms).encode()),
        (headers.CE_SUBJECT, subject),
        (headers.CE_TENANT, tenant.encode()),
        (headers.CE_CAUSATION, cause.encode()),
    )


def _said(settled: Settled) -> Headers:
    """What a reply says besides its body."""
    said = (
        (headers.OUTCOME, settled.outcome),
        (headers.STATUS, str(settled.status)),
        (headers.MODEL, settled.model),
        (headers.DEPLOYMENT, settled.deployment),
        (headers.PROCESSED_IN, settled.processed_in),
        (headers.COST, None if settled.cost_usd is None else f"{settled.cost_usd:.9f}"),
        (headers.PRICES, "; ".join(dict.fromkeys([charge.price for charge in settled.charges])) or None),
        (headers.ATTEMPTS, str(settled.attempts)),
        (headers.CALL_ID, settled.call_id),
    )
    return tuple([(name, value.encode()) for name, value in said if value is not None])


def _echoed(address: ReplyAddress) -> Headers:
    """The caller's correlation headers, byte for byte, and which door waits behind a shared partition."""
    door = ((headers.DOOR, address.door.encode()),) if address.door else ()
    return (*door, *((name, base64.b64decode(value)) for name, value in address.echo))
