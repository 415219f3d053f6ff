"""What a schedule leaves behind, read from topics and tables as an auditor would: nobody's own word counts."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

import msgspec
from simulator.callers import Visit
from simulator.clients import Submission
from simulator.front import Exchange
from simulator.loop import Process
from simulator.settings import TENANT
from simulator.tables import Tables
from simulator.topics import Topics
from simulator.vendors import Call

from allweather.contracts import headers, topics
from allweather.contracts.config import Configuration
from allweather.contracts.slip import Slip
from allweather.messaging import Record
from allweather.router.steps import OUTCOME_POSITION, VERDICT_POSITION, Row


class SlipView(msgspec.Struct):
    """The part of a slip that says where in its chain a record stands."""

    request_id: UUID
    position: int = 0


class StepView(msgspec.Struct):
    """The part of a dispatch, a parking or a result that says which."""

    n: int = 0
    attempt_id: UUID | None = None
    episode: int = 0


class Told(msgspec.Struct):
    """An internal record, as far as it must be read."""

    slip: SlipView | None = None
    data: msgspec.Raw = msgspec.Raw(b"null")

    @property
    def step(self) -> StepView:
        return msgspec.json.decode(self.data, type=StepView)


_told = msgspec.json.Decoder(Told)


def told(record: Record) -> Told:
    return _told.decode(record.value or b"")


def subject(record: Record) -> UUID:
    """The request that an internal record or a reply is about."""
    return UUID((record.key or b"").decode())


@dataclass(frozen=True)
class Evidence:
    """All that the promises are held against."""

    topics: Topics
    tables: Tables
    calls: Sequence[Call]
    bugs: Collection[UUID]
    """Requests of which one call failed by a bug of ours."""
    submissions: Sequence[Submission]
    visits: Sequence[Visit]
    configuration: Configuration
    disturbed: Sequence[tuple[float, Process]]
    """When which process was killed or stopped."""
    waits: Sequence[tuple[Record, int]]
    """How many milliseconds each dispatch waited to be taken up."""
    steady: bool
    """Whether nobody but vendors had an excuse to be late."""
    redis_troubled: bool
    """Whether claims may have been lost."""
    calm_ms: int
    """Since when nothing went wrong any more."""

    @cached_property
    def outcomes(self) -> Mapping[UUID, Row]:
        return {request: row for (request, at), row in self.tables.steps.items() if at == OUTCOME_POSITION}

    @cached_property
    def verdicts(self) -> Mapping[UUID, Slip]:
        rows = ((request, row) for (request, at), row in self.tables.steps.items() if at == VERDICT_POSITION)
        return {request: Slip.from_json(row.decision) for request, row in rows}

    @property
    def asked(self) -> Iterator[tuple[Visit, Exchange]]:
        """Every question that reached a door."""
        return ((visit, exchange) for visit in self.visits for exchange in visit.exchanges)

    def accepted_over_http(self, request: UUID) -> int:
        """How many records of the request a door has published."""
        records = self.topics.of(topics.requests(TENANT))
        return sum(subject(r) == request and r.text(headers.CE_SOURCE) == "/allweather/ingest" for r in records)

    @cached_property
    def replies(self) -> Mapping[UUID, Sequence[Record]]:
        """Everything that was sent to callers, also what their topics did not take."""
        found: defaultdict[UUID, list[Record]] = defaultdict(list)
        for topic in {topics.DOOR, *(s.reply_topic for s in self.submissions)} | self._default_topics:
            for record in self.topics.of(topic) + self.topics.of(topics.dead_letters(topic)):
                found[subject(record)].append(record)
        return found

    def dispatches(self) -> Iterator[Record]:
        for vendor in self.configuration.vendors:
            yield from self.topics.of(topics.dispatch(vendor.id))

    def letters(self) -> Iterator[Record]:
        """What was put aside of internal topics."""
        internal = [
            topic for topic in self.topics.counts if topic.startswith("ai.internal.") and topic.endswith(".dlq")
        ]
        return (record for topic in internal for record in self.topics.of(topic))

    @property
    def _default_topics(self) -> set[str]:
        return {topics.replies(tenant.id) for tenant in self.configuration.tenants}


def answers(submission: Submission, replies: Sequence[Record]) -> list[Record]:
    """The replies at the address of this very submission."""
    places = submission.reply_topic, topics.dead_letters(submission.reply_topic)
    return [
        reply
        for reply in replies
        if reply.topic in places and reply.header(headers.CORRELATION_ID) == submission.correlation
    ]
