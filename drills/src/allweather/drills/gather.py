"""Collects the evidence of a run: topics, tables, committed offsets and the vendors' own call log."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from allweather.contracts import headers, ids, topics
from allweather.contracts.config import Configuration
from allweather.contracts.failures import FailureKind
from allweather.contracts.model import digest
from allweather.contracts.records import (
    AttemptResult,
    Dispatch,
    EventType,
    MalformedRecord,
    Parked,
    RoutingDecision,
    decode,
)
from allweather.contracts.submission import submission_key
from allweather.drills.evidence import (
    Cleared,
    Dispatched,
    Evidence,
    Judged,
    Outcome,
    Position,
    Received,
    Reply,
    Resulted,
    Step,
    Submission,
    VendorCall,
)
from allweather.messaging import Broker, Record


async def gather(
    broker: Broker,
    postgres: asyncpg.Pool,
    configuration: Configuration,
    calls: Iterable[VendorCall],
    submissions: Sequence[Submission] = (),
    received: Sequence[Received] = (),
    *,
    worker_crashes: int = 0,
    away_ms: int = 0,
    since_ms: int = 0,
) -> Evidence:
    """The evidence of everything accepted since `since_ms`, read while nothing is in flight."""
    collector = _Collector(configuration, since_ms)
    async for record in broker.read_all(_topics(configuration)):
        collector.add(record)
    mine = collector.requests()
    return Evidence(
        submissions=tuple(submissions),
        received=tuple(received),
        submitted=collector.submitted,
        cleared=tuple(collector.cleared),
        dispatched=tuple(collector.dispatched),
        resulted=tuple(collector.resulted),
        parked=collector.parked,
        replies=tuple(collector.replies),
        outcomes=tuple(o for o in await _outcomes(postgres) if o.request_id in mine),
        steps=tuple(s for s in await _steps(postgres) if s.request_id in mine),
        calls=tuple(c for c in calls if c.at_ms >= since_ms),
        judged=tuple(sorted(collector.judged)),
        committed=await _committed(broker, configuration),
        worker_crashes=worker_crashes,
        away_ms=away_ms,
    )


def _topics(configuration: Configuration) -> list[str]:
    own = [f(t.id) for t in configuration.tenants for f in (topics.requests, topics.replies)]
    dispatch = [topics.dispatch(v.id) for v in configuration.vendors]
    return [*own, topics.CLEARED, *dispatch, topics.RESULTS, topics.PARKED, topics.DOOR]


class _Collector:
    """Sorts records by what they prove. Records that no version of us wrote are the dead letters' business."""

    def __init__(self, configuration: Configuration, since_ms: int) -> None:
        self._configuration = configuration
        self._since_ms = since_ms
        self.submitted: dict[Position, UUID] = {}
        self.cleared: list[Cleared] = []
        self.dispatched: list[Dispatched] = []
        self.resulted: list[Resulted] = []
        self.parked: dict[UUID, int] = {}
        self.replies: list[Reply] = []
        self.judged: set[Judged] = set()

    def requests(self) -> set[UUID]:
        """Every request that left a record in this run."""
        return {*self.submitted.values(), *(c.request_id for c in self.cleared), *(r.request_id for r in self.replies)}

    def add(self, record: Record) -> None:
        if record.timestamp_ms < self._since_ms:
            return
        try:
            self._sort(record)
        except MalformedRecord:
            return

    def _sort(self, record: Record) -> None:
        at = Position(record.topic, record.partition, record.offset)
        event = record.text(headers.CE_TYPE)
        if record.topic.startswith("ai.public.requests."):
            self.submitted[at] = _submitted_id(record)
        elif event in (EventType.SETTLED, EventType.CONFLICTED):
            self.replies.append(_reply(record, at, conflict=event == EventType.CONFLICTED))
        elif event == EventType.CLEARED:
            self.cleared.append(_cleared(record, at))
        elif event == EventType.DISPATCHED:
            self.dispatched.append(self._dispatched(record, at))
        elif event == EventType.PARKED:
            self._parked(record)
        elif record.topic == topics.RESULTS:
            self.resulted.append(_resulted(record, at, event or ""))

    def _parked(self, record: Record) -> None:
        envelope = decode(record.value)
        request = envelope.read_slip().request_id
        self.parked[request] = self.parked.get(request, 0) + 1
        self._judged(envelope.read(Parked).decision)

    def _judged(self, decision: RoutingDecision | None) -> None:
        """A fleet without workers counts as out, and says nothing of a breaker."""
        if decision is not None:
            breakers = (c for c in decision.considered if c.excluded != FailureKind.WORKER_LOST)
            self.judged.update(Judged(decision.now_ms, c.deployment, c.state) for c in breakers)

    def _dispatched(self, record: Record, at: Position) -> Dispatched:
        envelope = decode(record.value)
        dispatch = envelope.read(Dispatch)
        self._judged(dispatch.decision)
        return Dispatched(
            request_id=envelope.read_slip().request_id,
            attempt_id=dispatch.attempt_id,
            n=dispatch.n,
            at=at,
            deployment=dispatch.deployment,
            vendor=dispatch.vendor,
            processed_in=self._configuration.deployment(dispatch.deployment).processed_in,
            episode=dispatch.episode,
            timestamp_ms=record.timestamp_ms,
            digest=digest(record.value or b""),
        )


def _submitted_id(record: Record) -> UUID:
    key = submission_key(dict(record.headers), record.value, (record.topic, record.partition, record.offset))
    return ids.request_id(topics.tenant_of_requests(record.topic), key)


def _cleared(record: Record, at: Position) -> Cleared:
    slip = decode(record.value).read_slip()
    verdict = slip.verdict
    return Cleared(
        request_id=slip.request_id,
        at=at,
        permit=verdict.effect == "permit",
        regions=None if verdict.regions is None else frozenset(verdict.regions),
        vendors=None if verdict.vendors is None else frozenset(verdict.vendors),
        deadline_ms=slip.deadline_ms,
        tenant=slip.tenant,
        priority=slip.priority.value,
        accepted_at_ms=slip.accepted_at_ms,
    )


def _resulted(record: Record, at: Position, event: str) -> Resulted:
    envelope = decode(record.value)
    slip = envelope.read_slip()
    attempt = envelope.read(AttemptResult).attempt_id if event == EventType.ATTEMPTED else None
    return Resulted(slip.request_id, at, event, attempt, slip.position)


def _reply(record: Record, at: Position, *, conflict: bool) -> Reply:
    return Reply(
        request_id=UUID(record.text(headers.CE_SUBJECT) or ""),
        at=at,
        event_id=record.text(headers.CE_ID) or "",
        conflict=conflict,
        digest=digest(record.value or b""),
        timestamp_ms=record.timestamp_ms,
    )


async def _outcomes(postgres: asyncpg.Pool) -> list[Outcome]:
    rows = await postgres.fetch(
        "SELECT request_id, tenant, outcome, reply, settled_at_ms, settled ->> 'deployment' AS deployment "
        "FROM router.outcomes"
    )
    return [
        Outcome(
            request_id=r["request_id"],
            tenant=r["tenant"],
            kind=r["outcome"],
            reply_digest=digest(r["reply"]),
            text=answer_text(r["reply"]),
            settled_at_ms=r["settled_at_ms"],
            answered_by=r["deployment"],
        )
        for r in rows
    ]


def answer_text(reply: bytes) -> str | None:
    """The text of a chat completion, None when the reply is not one."""
    body: Any = msgspec.json.decode(reply)
    try:
        return body["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError):
        return None


async def _steps(postgres: asyncpg.Pool) -> list[Step]:
    rows = await postgres.fetch(
        "SELECT request_id, position, step, cause_topic, cause_partition, cause_offset FROM router.steps"
    )
    return [
        Step(
            r["request_id"],
            r["position"],
            r["step"],
            Position(r["cause_topic"], r["cause_partition"], r["cause_offset"]),
        )
        for r in rows
    ]


async def _committed(broker: Broker, configuration: Configuration) -> Mapping[tuple[str, str, int], int]:
    groups = ["policy", "router", *(f"provider-worker.{v.id}" for v in configuration.vendors)]
    found: dict[tuple[str, str, int], int] = {}
    for group in groups:
        for partition, place in (await broker.committed(group)).items():
            found[group, partition.topic, partition.partition] = place.offset
    return found
