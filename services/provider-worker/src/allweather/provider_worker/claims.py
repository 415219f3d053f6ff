"""Who makes a call: what a claim says, and what to do on meeting one. Pure; the store is `adapters.claims`.

A claim is a lease on an attempt, renewed while the call is made. It makes calls rarer, not correct: without it a
redelivered record is called again, and the router still settles the request once.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Self

import msgspec
from msgspec.structs import replace


@dataclass(frozen=True, slots=True)
class Holder:
    """A worker process: its slot in the group, and which life of it this is."""

    instance: str
    incarnation: int
    """Grows from life to life: the time at which the process started."""


class Claim(msgspec.Struct, frozen=True):
    """One record's claim on an attempt."""

    attempt: str
    position: str
    """Topic, partition and offset of the dispatch record."""
    holder: Holder
    done: bool = False

    @property
    def value(self) -> str:
        """What the store keeps under the attempt."""
        state = "done" if self.done else "held"
        return f"{state} {self.position} {self.holder.instance} {self.holder.incarnation}"

    @property
    def finished(self) -> "Claim":
        """What is kept when the result is published."""
        return replace(self, done=True)

    @classmethod
    def read(cls, attempt: str, value: str) -> Self:
        """The claim in a stored value."""
        state, position, instance, incarnation = value.split(" ")
        return cls(attempt, position, Holder(instance, int(incarnation)), done=state == "done")


class Meeting(Enum):
    """What to do when an attempt is claimed already."""

    DUPLICATE = "another record of the same attempt: skip"
    DONE = "the result is published: commit"
    TAKE_OVER = "an earlier life of this worker held it: call again"
    WAIT = "its holder is alive"


def meet(held: Claim, mine: Claim) -> Meeting:
    """What a worker does that wants `mine` and finds `held`, which has not lapsed."""
    if held.position != mine.position:
        return Meeting.DUPLICATE
    if held.done:
        return Meeting.DONE
    same_slot = held.holder.instance == mine.holder.instance
    return Meeting.TAKE_OVER if same_slot and held.holder.incarnation < mine.holder.incarnation else Meeting.WAIT
