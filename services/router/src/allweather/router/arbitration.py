"""Which record may take which step (R1), for a whole batch at once. Pure: rows in, rows and steps out.

The first row of a step wins. A record that caused it carries the stored decision out again, unchanged; any other is
dropped. A batch settles first, and nothing is dispatched, parked or released where an outcome exists.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final
from uuid import UUID

import msgspec
from msgspec.structs import replace

from allweather.contracts.records import AttemptResult, Dispatch, Ended, Parked, Settled
from allweather.contracts.slip import Slip
from allweather.failpoints import OFF, Failpoints
from allweather.router import lifecycle
from allweather.router.events import Cleared, Occurrence
from allweather.router.lifecycle import Situation
from allweather.router.steps import OUTCOME, OUTCOME_POSITION, VERDICT, VERDICT_POSITION, Key, Row, Step

Rows = Mapping[Key, Row]
Decided = Callable[[Occurrence, Step], None]
"""Told of each new decision, so that the next one of the batch takes it into account."""


class Fate(Enum):
    """What becomes of a record, when it is not a row's."""

    DECIDE = "decide"
    DROP = "drop"
    DUPLICATE = "duplicate"
    """The request has been submitted before."""


class Carried(msgspec.Struct, frozen=True):
    """A step that is to be carried out: published as its row says."""

    seen: Occurrence
    step: Step
    row: Row


@dataclass(slots=True)
class Plan:
    """What a batch asks for."""

    steps: list[Carried] = field(default_factory=list[Carried])
    rows: dict[Key, Row] = field(default_factory=dict[Key, Row])
    """To be inserted; who is first in the table wins."""
    duplicates: list[Occurrence] = field(default_factory=list[Occurrence])

    def disputed(self, taken: Collection[Key]) -> frozenset[UUID]:
        """Requests of which a step was taken already, or that were settled."""
        if len(taken) == len(self.rows):
            return frozenset()
        return frozenset(key[0] for key in self.rows if key not in taken)

    def without(self, requests: Collection[UUID]) -> "Plan":
        """What it says of all other requests."""
        return Plan(
            [carried for carried in self.steps if carried.seen.request_id not in requests],
            {key: row for key, row in self.rows.items() if key[0] not in requests},
            [seen for seen in self.duplicates if seen.request_id not in requests],
        )


def unsure(batch: Collection[Occurrence]) -> list[Occurrence]:
    """The records of which the table must be asked before they are decided.

    A verdict or a result hardly ever finds its step taken. What ends or releases a request comes from outside of its
    chain, often while that goes on; and of several records of one request, each decides for the others.
    """
    once, several = set[UUID](), set[UUID]()
    for seen in batch:
        seen_before = seen.request_id in once
        (several if seen_before else once).add(seen.request_id)
    return [s for s in batch if not isinstance(s.event, _FIRST_AND_ONLY) or s.request_id in several]


_FIRST_AND_ONLY: Final = (Cleared, AttemptResult)
"""What hardly ever finds its step taken."""


def keys(seen: Occurrence) -> Iterable[Key]:
    """The rows that say what may become of a record."""
    request = seen.request_id
    yield request, OUTCOME_POSITION
    if isinstance(seen.event, Cleared) or seen.nameless:
        yield request, VERDICT_POSITION
    if not isinstance(seen.event, Ended):
        yield request, seen.slip.position + 1


def plan(
    batch: Iterable[Occurrence], rows: Rows, now: Situation, decided: Decided, failpoints: Failpoints = OFF
) -> Plan:
    """What to insert and to carry out for `batch`, where `rows` are in the table already."""
    made = Plan()
    known = dict(rows)
    for seen in sorted(batch, key=_settles_last):
        match fate(seen, known, failpoints):
            case Row() as row:
                made.steps.append(again(named(seen, known), row))
            case Fate.DUPLICATE:
                made.duplicates.append(seen)
            case Fate.DECIDE:
                carried = _decide(named(seen, known), now)
                decided(seen, carried.step)
                made.steps.append(carried)
                for row in _new_rows(carried, known):
                    key = row.key
                    made.rows[key] = known[key] = row
            case Fate.DROP:
                pass
    return made if failpoints.skips("router.outcome-stops-dispatch") else _settled_first(made)


def judge(batch: Iterable[Occurrence], rows: Rows, lost: Plan, failpoints: Failpoints = OFF) -> Plan:
    """What becomes of all records of disputed requests, by the rows that are there now. Inserts nothing.

    Not only of those whose own step was lost: a record that was dropped because of it may be the winner's cause.
    """
    made = Plan()
    decided = {carried.seen.cause: carried for carried in lost.steps}
    for seen in batch:
        match fate(seen, rows, failpoints):
            case Row() as row:
                made.steps.append(again(named(seen, rows), row))
            case Fate.DUPLICATE:
                made.duplicates.append(seen)
            case Fate.DECIDE if seen.cause in decided:  # a guard is switched off: then nobody is stopped by a row
                made.steps.append(decided[seen.cause])
            case _:
                pass
    return made


def conflicts(duplicate: Occurrence, verdict: Row) -> bool:
    """Whether a second submission has another body than the one that has the verdict; nobody's body conflicts."""
    known = Slip.from_json(verdict.decision).body_digest
    return known not in ("", duplicate.slip.body_digest)


def fate(seen: Occurrence, rows: Rows, failpoints: Failpoints = OFF) -> Row | Fate:
    """What becomes of one record: its own row is carried out again, another's row stops it."""
    if isinstance(seen.event, Cleared):
        verdict = rows.get((seen.request_id, VERDICT_POSITION))
        if verdict and verdict.cause != seen.cause and not failpoints.skips("router.first-row-wins"):
            return Fate.DUPLICATE
    outcome = rows.get((seen.request_id, OUTCOME_POSITION))
    if outcome and outcome.cause == seen.cause:
        return _mine(outcome, failpoints)
    if outcome and not failpoints.skips("router.outcome-stops-dispatch"):
        return Fate.DROP
    if isinstance(seen.event, Ended):  # whatever step the request is at
        return Fate.DECIDE
    taken = rows.get((seen.request_id, seen.slip.position + 1))
    if taken and taken.cause == seen.cause and taken.step != OUTCOME:
        return _mine(taken, failpoints)
    if taken and not failpoints.skips("router.first-row-wins"):
        return Fate.DROP
    return Fate.DECIDE


def again(seen: Occurrence, row: Row) -> Carried:
    """The stored decision, as the redelivered record `seen` carries it out: the same bytes."""
    slip = lifecycle.after(seen)
    if row.position == OUTCOME_POSITION:
        return Carried(seen, Step(slip, Settled.from_json(row.decision), row.reply), row)
    if row.step.startswith("parked-"):
        return Carried(seen, Step(lifecycle.parked(slip), Parked.from_json(row.decision)), row)
    return Carried(seen, Step(slip, Dispatch.from_json(row.decision)), row)


def named(seen: Occurrence, rows: Rows) -> Occurrence:
    """A record without a slip speaks of the request that the verdict's row knows."""
    verdict = rows.get((seen.request_id, VERDICT_POSITION)) if seen.nameless else None
    return seen if verdict is None else replace(seen, slip=Slip.from_json(verdict.decision))


def _mine(row: Row, failpoints: Failpoints) -> Row | Fate:
    return Fate.DROP if failpoints.skips("router.same-cause-replays") else row


def _decide(seen: Occurrence, now: Situation) -> Carried:
    step = lifecycle.advance(seen, now)
    place = _place(seen)
    after = None if place == step.position else place
    row = _row(seen, step.position, step.label, now.now_ms, step.decision.to_json(), step.reply, after)
    return Carried(seen, step, row)


def _place(seen: Occurrence) -> int | None:
    """Where in the chain a record stands: whoever takes that place may decide, and nobody else.

    An outcome takes it too. Otherwise one replica could drop a record, because another one has taken its place, while
    a zombie that has not seen that settles with it and dies: an outcome that nobody would publish.
    """
    if isinstance(seen.event, Ended):
        return None
    return VERDICT_POSITION if isinstance(seen.event, Cleared) else seen.slip.position + 1


def _new_rows(carried: Carried, known: Rows) -> Iterable[Row]:
    seen, row = carried.seen, carried.row
    if isinstance(seen.event, Cleared):
        yield _row(seen, VERDICT_POSITION, VERDICT, row.at_ms, seen.slip_json)
    elif row.after is not None:
        yield _row(seen, row.after, row.step, row.at_ms, b"")
    yield row
    if seen.nameless and (seen.request_id, VERDICT_POSITION) not in known:
        # An end that came before its request takes the verdict as well: the request then finds that it is over.
        yield _row(seen, VERDICT_POSITION, VERDICT, row.at_ms, seen.slip_json, after=OUTCOME_POSITION)


def _row(
    seen: Occurrence,
    position: int,
    step: str,
    at_ms: int,
    decision: bytes,
    reply: bytes | None = None,
    after: int | None = None,
) -> Row:
    slip, cause = seen.slip, seen.cause
    return Row(slip.request_id, position, step, slip.tenant, cause, seen.cause_id, at_ms, decision, reply, after)


def _settled_first(made: Plan) -> Plan:
    """Take back every other step of a request that this very batch settles."""
    settled = {c.row.request_id for c in made.steps if c.row.position == OUTCOME_POSITION}
    if not settled:
        return made
    stopped = [c.row.key for c in made.steps if c.row.position != OUTCOME_POSITION and c.row.request_id in settled]
    if stopped:
        made.steps = [c for c in made.steps if c.row.key not in stopped]
        made.rows = {key: row for key, row in made.rows.items() if key not in stopped}
    return made


def _settles_last(seen: Occurrence) -> bool:
    """Sorts the records that end their request before all others; otherwise a batch keeps its order."""
    return not seen.ends
