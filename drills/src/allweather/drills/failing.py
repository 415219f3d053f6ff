"""What a stretch in which one deployment failed came to. Pure: evidence in, figures out."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from allweather.drills.evidence import Evidence, Judged


@dataclass(frozen=True, slots=True)
class Stretch:
    """A deployment that failed, wholly or now and then, in milliseconds since the epoch."""

    deployment: str
    began_ms: int
    ended_ms: int

    def holds(self, at_ms: int) -> bool:
        """Whether that moment lies in it."""
        return self.began_ms <= at_ms < self.ended_ms


@dataclass(frozen=True, slots=True)
class Course:
    """How it went."""

    requests: int
    answered: float
    """The share of the requests accepted in the stretch that were answered without having waited in the queue."""
    opened_s: float
    """From its beginning until the deployment was found ill; infinite when it never was."""
    open_periods: int
    calls_while_ill: int
    """Calls of it that were decided after it was found ill for the first time."""
    calls_per_request: float
    """Of all vendors, by all requests of the stretch."""
    changes: int
    """How often what was thought of the deployment changed."""


def course(e: Evidence, stretch: Stretch) -> Course:
    """What the evidence says of that stretch."""
    mine = {c.request_id for c in e.cleared if stretch.holds(c.accepted_at_ms)}
    changes = list(_changes(e, stretch))
    opened = [change.at_ms for change in changes if change.state == "open"]
    return Course(
        requests=len(mine),
        answered=_answered(e, mine),
        opened_s=(min(opened) - stretch.began_ms) / 1000 if opened else float("inf"),
        open_periods=len(opened),
        calls_while_ill=_calls_after(e, stretch, min(opened)) if opened else 0,
        calls_per_request=_calls_of(e, mine) / max(1, len(mine)),
        changes=len(changes),
    )


def _answered(e: Evidence, mine: set[UUID]) -> float:
    at_once = {o.request_id for o in e.outcomes if o.kind == "answered" and o.request_id not in e.parked}
    return len(mine & at_once) / max(1, len(mine))


def _changes(e: Evidence, stretch: Stretch) -> Iterator[Judged]:
    state = "closed"
    for judged in e.judged:
        if judged.deployment == stretch.deployment and stretch.holds(judged.at_ms) and judged.state != state:
            state = judged.state
            yield judged


def _calls_after(e: Evidence, stretch: Stretch, found_ms: int) -> int:
    later = {d.attempt_id for d in e.dispatched if d.deployment == stretch.deployment and d.timestamp_ms > found_ms}
    return sum(call.attempt_id in later and stretch.holds(call.at_ms) for call in e.calls)


def _calls_of(e: Evidence, mine: set[UUID]) -> int:
    attempts = {d.attempt_id for d in e.dispatched if d.request_id in mine}
    return sum(call.attempt_id in attempts for call in e.calls)
