"""A step of a request: what the router decided, as the row that stores it and the slip that travels on."""

from typing import Final
from uuid import UUID

import msgspec

from allweather.contracts.records import Dispatch, Parked, Settled
from allweather.contracts.slip import Slip
from allweather.router.events import Cause

VERDICT_POSITION: Final = 0
OUTCOME_POSITION: Final = 32767
VERDICT: Final = "verdict"
OUTCOME: Final = "outcome"

Key = tuple[UUID, int]
"""Request and position: a step is taken once."""


class Row(msgspec.Struct, frozen=True):
    """A step as the table keeps it. `decision` is the exact JSON of the record that carries it out."""

    request_id: UUID
    position: int
    step: str
    tenant: str
    cause: Cause
    cause_id: str
    at_ms: int
    decision: bytes
    reply: bytes | None = None
    """The exact bytes of the answer; only of an outcome."""
    after: int | None = None
    """The position that must be won for this row to be inserted at all: the steps of one cause are taken together."""

    @property
    def key(self) -> Key:
        return self.request_id, self.position


class Step(msgspec.Struct, frozen=True):
    """The next step of a request: an attempt, waiting, or its outcome."""

    slip: Slip
    """The request as it is once the step is taken."""
    decision: Dispatch | Parked | Settled
    reply: bytes | None = None

    @property
    def label(self) -> str:
        match self.decision:
            case Dispatch(n=n):
                return f"attempt-{n}"
            case Parked(n=n):
                return f"parked-{n}"
            case Settled():
                return OUTCOME

    @property
    def position(self) -> int:
        return OUTCOME_POSITION if isinstance(self.decision, Settled) else self.slip.position
