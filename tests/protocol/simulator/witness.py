"""What is watched while a schedule runs: what a decider had seen when it decided, and what lay behind each commit."""

from collections.abc import Callable, Collection, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID

from allweather.contracts import headers, topics
from allweather.contracts.records import EventType
from allweather.messaging import BatchHandler, Message, Outputs, Record
from allweather.router.handlers import Steps
from allweather.router.parking import Parking
from allweather.router.steps import OUTCOME_POSITION, Key, Row


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise or a rule that a schedule broke."""

    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}"


_OVER: ContextVar[set[UUID] | None] = ContextVar("over", default=None)
"""Requests whose outcome the batch at hand has seen."""


class Witness:
    """Stands beside the deciders of all processes."""

    def __init__(self, say: Callable[..., None]) -> None:
        self.violations: list[Violation] = []
        self._say = say

    def saw(self, rule: str, what: str) -> None:
        self.violations.append(Violation(rule, what))

    def reading(self, steps: Steps) -> Steps:
        """The table, with a note of every outcome that is read from it."""
        return _Reading(steps)

    def deciding(self, handler: BatchHandler) -> BatchHandler:
        """The handler, held against what it had seen (R1) and against itself (R2)."""

        async def handle(records: Sequence[Record]) -> Outputs:
            self._say("handles", *(f"{r.topic.split('.')[2]}/{r.partition}/{r.offset}" for r in records))
            over: set[UUID] = set()
            token = _OVER.set(over)
            try:
                outputs = await handler(records)
            finally:
                _OVER.reset(token)
            self._check(outputs.messages, over)
            return outputs

        return handle

    def _check(self, messages: Sequence[Message], over: Collection[UUID]) -> None:
        going_on = {m.key for m in messages if m.topic == topics.PARKED or m.topic.startswith("ai.internal.dispatch.")}
        if not going_on:
            return
        for request in over:
            if str(request).encode() in going_on:
                self.saw("R1", f"{request} went on though its outcome had been seen")
        for message in messages:
            if message.key in going_on and (headers.CE_TYPE, EventType.SETTLED.encode()) in message.headers:
                self.saw("R2", f"{(message.key or b'').decode()} was settled and went on in the same batch")


class _Reading:
    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self.wait, self.waiters = steps.wait, steps.waiters

    async def load(self, keys: Collection[Key]) -> dict[Key, Row]:
        rows = await self._steps.load(keys)
        over = _OVER.get()
        if over is not None:
            over.update(request for request, position in rows if position == OUTCOME_POSITION)
        return rows

    async def take(
        self, rows: Collection[Row], parkings: Collection[Parking] = (), unpark: Collection[UUID] = ()
    ) -> set[Key]:
        return await self._steps.take(rows, parkings, unpark)
