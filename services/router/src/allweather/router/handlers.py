"""Records in, messages out: the router's decision for a batch, with everything that is written down first."""

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol
from uuid import UUID

import msgspec
from msgspec.structs import replace

from allweather.contracts.config import Configuration
from allweather.contracts.records import AttemptResult, Dispatch, Ended, Parked, Released
from allweather.contracts.slip import ReplyAddress
from allweather.failpoints import OFF, Failpoints
from allweather.messaging import Message, Outputs, PermanentError, Record
from allweather.router import arbitration, routing
from allweather.router.arbitration import Carried, Plan
from allweather.router.events import Occurrence
from allweather.router.health import HealthBoard, Snapshot
from allweather.router.intake import read
from allweather.router.lifecycle import Situation
from allweather.router.metering import count_attempt, count_steps
from allweather.router.outbox import Outbox
from allweather.router.parking import INLINE_BYTES, Parking
from allweather.router.space import ParkingSpace
from allweather.router.steps import OUTCOME_POSITION, VERDICT_POSITION, Key, Row, Step
from allweather.runtime.clock import Clock
from allweather.runtime.payloads import PayloadCorrupt, PayloadMissing, Payloads


class Steps(Protocol):
    """The table that decides: see `adapters.steps.StepTable`."""

    async def load(self, keys: Collection[Key]) -> dict[Key, Row]: ...

    async def take(
        self,
        rows: Collection[Row],
        parkings: Collection[Parking] = (),
        unpark: Collection[UUID] = (),
        *,
        even_settled: bool = False,
    ) -> set[Key]: ...

    async def wait(self, duplicates: Sequence[Occurrence], now_ms: int) -> None: ...

    async def waiters(self, requests: Collection[UUID]) -> dict[UUID, list[ReplyAddress]]: ...


class DecideSteps:
    """Decides the next step of every request of a batch, in one write.

    Nearly every record is the first and only one that asks for its step, so the steps are taken as if nobody had been
    here before; the table says of which requests that is wrong, and only their rows are read.
    """

    def __init__(
        self,
        config: Configuration,
        steps: Steps,
        board: HealthBoard,
        space: ParkingSpace,
        payloads: Payloads,
        outbox: Outbox,
        clock: Clock,
        failpoints: Failpoints = OFF,
    ) -> None:
        self._config = config
        self._steps = steps
        self._board = board
        self._space = space
        self._payloads = payloads
        self._outbox = outbox
        self._clock = clock
        self._failpoints = failpoints
        self._observed: dict[tuple[str, int], int] = {}

    async def __call__(self, batch: Sequence[Record]) -> Outputs:
        seen = [await self._whole(read(record)) for record in batch]
        rows = await self._steps.load({key for each in arbitration.unsure(seen) for key in arbitration.keys(each)})
        self._observe(seen)
        self._failpoints.reach("router.before-steps")
        plan = self._plan(seen, rows)
        taken = await self._taken(plan)
        self._failpoints.reach("router.after-steps")
        disputed = plan.disputed(taken)
        if disputed:
            plan = await self._judged([each for each in seen if each.request_id in disputed], plan, disputed)
        count_steps(plan.steps)
        messages = [self._outbox.step(carried) for carried in plan.steps]
        messages += await self._answer_waiters(plan.steps)
        messages += await self._answer_duplicates(plan.duplicates)
        return Outputs(messages)

    async def _taken(self, plan: Plan) -> set[Key]:
        parkings, over = await self._parkings(plan), _over(plan)
        unguarded = self._failpoints.skips("router.outcome-stops-dispatch")
        return await self._steps.take(plan.rows.values(), parkings, over, even_settled=unguarded)

    async def _whole(self, seen: Occurrence) -> Occurrence:
        """With the response that was too large to travel in the record."""
        reference = seen.event.response_ref if isinstance(seen.event, AttemptResult) else None
        if reference is None:
            return seen
        try:
            response = await self._payloads.get(reference)
        except (PayloadMissing, PayloadCorrupt) as error:
            raise PermanentError("the response is not in the payload store") from error
        return replace(seen, response=msgspec.Raw(response))

    def _observe(self, batch: Iterable[Occurrence]) -> None:
        """Let the health board learn from results, from each once however often its record is delivered here."""
        for seen in batch:
            topic, partition, offset = seen.cause
            if offset <= self._observed.get((topic, partition), -1):
                continue
            self._observed[topic, partition] = offset
            match seen.event:
                case AttemptResult() as result:
                    self._board.attempted(result)
                    count_attempt(result, self._config)
                case Released():
                    self._board.arrived(seen.request_id)
                case _:
                    pass

    def _plan(self, batch: Sequence[Occurrence], rows: arbitration.Rows) -> Plan:
        snapshot = Snapshot(self._board)

        def decided(seen: Occurrence, step: Step) -> None:
            match step.decision:
                case Dispatch(deployment=deployment) as call:
                    repeat = routing.is_repeat(step.slip, self._config.deployment(deployment), self._config)
                    self._board.dispatched(call, repeat=repeat, released=step.slip.parks > 0)
                    snapshot.dispatched(call)
                case Parked():
                    self._space.took(step.slip.tenant, _weight(step, seen))
                case _:
                    pass

        now = Situation(self._config, snapshot, self._clock.now_ms(), self._space.full)
        return arbitration.plan(batch, rows, now, decided, self._failpoints)

    async def _parkings(self, plan: Plan) -> list[Parking]:
        """The rows of the queue that belong to the new steps of a plan."""
        return [
            await self._parking(carried.seen, carried.step, carried.step.decision)
            for carried in plan.steps
            if isinstance(carried.step.decision, Parked) and carried.row.key in plan.rows
        ]

    async def _parking(self, seen: Occurrence, step: Step, parked: Parked) -> Parking:
        body = bytes(seen.body)
        large = len(body) > INLINE_BYTES
        return Parking(
            request_id=seen.request_id,
            n=parked.n,
            partition=seen.cause.partition,
            not_before_ms=parked.not_before_ms,
            slip=step.slip,
            body=None if large else body,
            body_ref=await self._payloads.put(body) if large else None,
            bytes=_weight(step, seen),
        )

    async def _judged(self, batch: Sequence[Occurrence], plan: Plan, disputed: Collection[UUID]) -> Plan:
        """The plan as it must be where steps are taken already: by this very record before, or by another one."""
        rows = await self._steps.load({key for seen in batch for key in arbitration.keys(seen)})
        judged = arbitration.judge(batch, rows, plan, self._failpoints)
        ours = plan.without(disputed)
        return Plan(ours.steps + judged.steps, ours.rows, ours.duplicates + judged.duplicates)

    async def _answer_waiters(self, steps: Iterable[Carried]) -> list[Message]:
        """Answers for the other submissions of the requests that are settled.

        The waiters are read after the outcomes are committed, and a submission looks at the outcome after it has
        become a waiter: one of the two sees the other.
        """
        outcomes = {c.row.request_id: c.row for c in steps if c.row.position == OUTCOME_POSITION}
        if not outcomes:
            return []
        waiting = await self._steps.waiters(outcomes)
        return [
            self._outbox.answer(outcomes[request], address)
            for request, addresses in waiting.items()
            for address in addresses
        ]

    async def _answer_duplicates(self, duplicates: Sequence[Occurrence]) -> list[Message]:
        """Answers for submissions whose request has been submitted before: its outcome, now or once it is there."""
        if not duplicates:
            return []
        verdicts = await self._steps.load({(seen.request_id, VERDICT_POSITION) for seen in duplicates})
        same: list[Occurrence] = []
        messages: list[Message] = []
        for seen in duplicates:
            verdict = verdicts[seen.request_id, VERDICT_POSITION]
            if arbitration.conflicts(seen, verdict):
                messages.append(self._outbox.conflict(seen, verdict))
            else:
                same.append(seen)
        return messages + await self._answer_same(same)

    async def _answer_same(self, duplicates: Sequence[Occurrence]) -> list[Message]:
        if not duplicates:
            return []
        await self._steps.wait(duplicates, self._clock.now_ms())
        outcomes = await self._steps.load({(seen.request_id, OUTCOME_POSITION) for seen in duplicates})
        found = ((seen, outcomes.get((seen.request_id, OUTCOME_POSITION))) for seen in duplicates)
        return [self._outbox.answer(outcome, seen.slip.reply) for seen, outcome in found if outcome]


def _over(plan: Plan) -> list[UUID]:
    """Requests that are ended by something other than an attempt: they may be in the queue."""
    return [c.row.request_id for c in plan.steps if isinstance(c.seen.event, Ended) and c.row.key in plan.rows]


def _weight(step: Step, seen: Occurrence) -> int:
    """What a request takes of its tenant's space; a body that travels by reference weighs what its estimate says."""
    return max(len(seen.body), 3 * step.slip.needs.input_tokens)
