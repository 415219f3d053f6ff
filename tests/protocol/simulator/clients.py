"""Applications: they submit, submit again when they are not sure, change their minds, and make mistakes."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from simulator.callers import Visit
from simulator.chance import Chance
from simulator.climate import Climate, Weights
from simulator.settings import PARTITIONS, SECRET, SIDE_TOPIC, TENANT

from allweather.contracts import headers, ids, topics
from allweather.contracts.ids import DoorAddress
from allweather.contracts.model import digest
from allweather.contracts.records import EventType
from allweather.ingest.cancellation import cancelled
from allweather.messaging import Message

BODY: Final = b'{"model":"triage","messages":[{"role":"user","content":"%s"}]}'
STREAM: Final = BODY[:-1] + b',"stream":true}'
POISON: Final = b"no record of ours"
NO_TOPIC: Final = f"ai.public.replies.{TENANT}.nowhere.v1".encode()
SPOILED: Final = (b"no json", b'{"model":"nobody"}', b'{"model":"triage"}', b"")


@dataclass(frozen=True, slots=True)
class Submission:
    """One record on the request topic."""

    key: str
    request_id: UUID
    body: bytes
    message: Message
    reply_topic: str
    correlation: bytes

    @property
    def body_digest(self) -> str:
        return digest(self.body)


@dataclass(frozen=True, slots=True)
class Act:
    """What an application does, and when."""

    at: float
    submission: Submission | None = None
    visit: Visit | None = None
    cancels: UUID | None = None
    poisons: UUID | None = None
    """A broken record about this request gets among the results: a bad deployment of somebody's."""

    def message(self, now_ms: int) -> Message:
        if self.submission is not None:
            return self.submission.message
        if self.cancels is not None:
            return cancelled(self.cancels, TENANT, now_ms)
        assert self.poisons is not None
        return _poison(self.poisons)


def acts(chance: Chance, until: float, climate: Climate) -> list[Act]:
    """What the applications of one schedule do before `until`: few requests, each told apart from all others."""
    done: list[Act] = []
    for number in range(chance.weighted(climate.requests)):
        first = _question(chance, number, climate.over_http)
        begun = chance.between(0, until)
        done.append(_asked(chance, begun, first, 0, climate))
        again = range(1, chance.weighted(((1, 0.7), (2, 0.2), (3, 0.1))))
        done += [_asked(chance, begun + chance.between(0, 20), _again(chance, first), n, climate) for n in again]
        if chance.happens(0.15):
            done.append(Act(max(0.0, begun + chance.between(-2, 20)), cancels=first.request_id))
        if chance.happens(0.03):
            done.append(Act(begun + chance.between(0, 10), poisons=first.request_id))
    return done


@dataclass(frozen=True, slots=True)
class _Question:
    key: str
    body: bytes
    over_http: bool

    @property
    def request_id(self) -> UUID:
        return ids.request_id(TENANT, self.key)


def _question(chance: Chance, number: int, http_share: float) -> _Question:
    over_http = chance.happens(http_share)
    if not over_http and chance.happens(0.05):
        return _Question(f"ticket-{number}", chance.one_of(SPOILED), over_http)
    body = STREAM if over_http and chance.happens(0.75) else BODY
    return _Question(f"ticket-{number}", body % str(number).encode(), over_http)


def _asked(chance: Chance, at: float, question: _Question, again: int, climate: Climate) -> Act:
    if question.over_http:
        return Act(at, visit=_visit(chance, question, climate.deadlines_s))
    return Act(at, _submission(chance, question.key, question.body, again, climate.deadlines_s))


def _poison(request: UUID) -> Message:
    subject = str(request).encode()
    said = {
        headers.CE_SUBJECT: subject,
        headers.CE_TENANT: TENANT.encode(),
        headers.CE_TYPE: EventType.ATTEMPTED.encode(),
    }
    return Message(topics.RESULTS, POISON, subject, tuple(said.items()))


def _again(chance: Chance, first: _Question) -> _Question:
    """The same request once more, by the same door or the other; or with another body."""
    same_door = chance.happens(0.8)
    over_http = first.over_http if same_door else not first.over_http
    body = first.body if chance.happens(0.8) or first.body in SPOILED else BODY % b"something else"
    return _Question(first.key, body, over_http and body not in SPOILED)


def _visit(chance: Chance, question: _Question, deadlines_s: Weights) -> Visit:
    hints = {"x-allweather-deadline": str(chance.weighted(deadlines_s))}
    if chance.happens(0.5):
        hints["x-allweather-priority"] = "bulk"
    if chance.happens(0.15):
        hints["x-allweather-region"] = "eu"
    leaves_after = chance.between(0, 15) if chance.happens(0.1) else None
    streams = b'"stream":true' in question.body
    return Visit(question.key, question.request_id, question.body, hints, streams, leaves_after)


def _submission(chance: Chance, key: str, body: bytes, again: int, deadlines_s: Weights) -> Submission:
    request = ids.request_id(TENANT, key)
    correlation = f"{key}/{again}".encode()
    given = {
        headers.CONTENT_TYPE: b"application/json",
        headers.CE_ID: key.encode(),
        headers.CORRELATION_ID: correlation,
        headers.DEADLINE: str(chance.weighted(deadlines_s)).encode(),
        headers.PRIORITY: b"interactive" if chance.happens(0.5) else b"bulk",
    }
    if chance.happens(0.15):
        given[headers.REGION] = b"eu"
    if chance.happens(0.03):
        given[headers.DATA_CLASS] = b"secret"
    reply_topic = topics.replies(TENANT)
    match chance.number(6):
        case 0:
            given[headers.REPLY_TOPIC] = SIDE_TOPIC.encode()
            reply_topic = SIDE_TOPIC
        case 1:
            door = DoorAddress("door-1", chance.number(PARTITIONS))
            given[headers.DOOR] = door.sign(request, SECRET).encode()
            reply_topic = topics.DOOR
        case 2:
            given[headers.REPLY_TOPIC] = NO_TOPIC
        case 3:
            given |= {headers.REPLY_TOPIC: SIDE_TOPIC.encode(), headers.REPLY_PARTITION: b"99"}
        case _:
            pass
    message = Message(topics.requests(TENANT), body, str(request).encode(), tuple(given.items()))
    return Submission(key, request, body, message, reply_topic, correlation)
