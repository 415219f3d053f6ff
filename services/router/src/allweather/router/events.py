"""What may happen to a request, and the record that said so. Values only; `intake` reads them from records."""

from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import msgspec

from allweather.contracts.records import AttemptResult, Ended, Released
from allweather.contracts.slip import Slip


class Cause(NamedTuple):
    """The place of the record that caused a step. A redelivered record is the same cause."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Cleared:
    """Policy has given its verdict, which stands in the slip."""


Event = Cleared | AttemptResult | Released | Ended


class Occurrence(msgspec.Struct, frozen=True):
    """What happened to one request, as one record said it."""

    cause: Cause
    cause_id: str
    """`ce_id` of the record: the causation of whatever follows."""
    slip: Slip
    slip_json: bytes
    """The slip as it came."""
    event: Event
    body: msgspec.Raw
    response: msgspec.Raw
    nameless: bool = False
    """The record came without a slip (a cancellation): the verdict's row knows the request better."""

    @property
    def request_id(self) -> UUID:
        return self.slip.request_id

    @property
    def ends(self) -> bool:
        """Whether it settles the request, whatever the router would decide."""
        return isinstance(self.event, Ended) or (isinstance(self.event, AttemptResult) and self.event.failure is None)
