"""What is watched while a schedule runs: what a decider had seen when it decided, and what lay behind each commit."""

from collections.abc import Callable, Collection, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from uuid import UUID

from allweather.contracts import topics
from allweather.messaging import BatchHandler, Message, Outputs, Record, RecordHandler
from allweather.router.handlers import Steps
from allweather.router.parking import Parking
from allweather.router.steps import OUTCOME_POSITION, Key, Row
from allweather.runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise or a rule that a schedule broke."""

    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}"


@dataclass(slots=True)
class _Batch:
    """What the batch at hand has seen and done."""

    over: set[UUID] = field(default_factory=set[UUID])
    """Requests whose outcome was there when it decided."""
    settled: set[UUID] = field(default_factory=set[UUID])
    """Requests that it settles itself."""


_BATCH: ContextVar[_Batch | None] = ContextVar("batch", default=None)


class Witness:
    """Stands beside the deciders and the workers of all processes."""

    def __init__(self, say: Callable[..., None]) -> None:
        self.violations: list[Violation] = []
        self.waits: list[tuple[Record, int]] = []
        """Each dispatch that a worker took up, and how long after it was written, in milliseconds."""
        self._say = say

    def saw(self, rule: str, what: str) -> None:
        self.violations.append(Violation(rule, what))

    def taking(self, handler: RecordHandler, clock: Clock) -> RecordHandler:
        """The handler of a worker, with a note of when it takes up what."""

        async def handle(record: Record) -> Outputs:
            self.waits.append((record, clock.now_ms() - record.timestamp_ms))
            return await handler(record)

        return handle

    def reading(self, steps: Steps) -> Steps:
        """The table, with a note of every outcome that is read from it."""
        return _Reading(steps)

    def deciding(self, handler: BatchHandler) -> BatchHandler:
        """The handler, held against what it had seen (R1) and against itself (R2)."""

        async def handle(records: Sequence[Record]) -> Outputs:
            self._say("handles", *(f"{r.topic.split('.')[2]}/{r.partition}/{r.offset}" for r in records))
            batch = _Batch()
            _BATCH.set(batch)  # of this task, which has no other
            outputs = await handler(records)
            self._check(outputs.messages, batch)
            return outputs

        return handle

    def _check(self, messages: Sequence[Message], batch: _Batch) -> None:
        going_on = {m.key for m in messages if m.topic == topics.PARKED or m.topic.startswith("ai.internal.dispatch.")}
        if not going_on:
            return
        for request in batch.over:
            if str(request).encode() in going_on:
                self.saw("R1", f"{request} went on though its outcome had been seen")
        for request in batch.settled:
            if str(request).encode() in going_on:
                self.saw("R2", f"{request} was settled and went on in the same batch")


class _Reading:
    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self.wait, self.waiters = steps.wait, steps.waiters

    async def load(self, keys: Collection[Key]) -> dict[Key, Row]:
        rows = await self._steps.load(keys)
        batch = _BATCH.get()
        # Who looks for outcomes only has decided already, and wants to answer others.
        if batch is not None and any(position != OUTCOME_POSITION for _, position in keys):
            batch.over.update(request for request, position in rows if position == OUTCOME_POSITION)
        return rows

    async def take(
        self,
        rows: Collection[Row],
        parkings: Collection[Parking] = (),
        unpark: Collection[UUID] = (),
        *,
        even_settled: bool = False,
    ) -> set[Key]:
        taken = await self._steps.take(rows, parkings, unpark, even_settled=even_settled)
        batch = _BATCH.get()
        if batch is not None:
            batch.settled.update(request for request, position in taken if position == OUTCOME_POSITION)
        return taken
