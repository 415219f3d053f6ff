"""What the clients themselves saw: written before the system is asked, so that its word alone proves nothing."""

import time
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from allweather.drills.evidence import Received, Submission


def now_ms() -> int:
    """Wall-clock time in milliseconds since the epoch, as records carry it."""
    return time.time_ns() // 1_000_000


@dataclass(slots=True)
class Journal:
    """The submissions of a run and the answers that came back."""

    submissions: dict[UUID, Submission] = field(default_factory=dict[UUID, Submission])
    received: list[Received] = field(default_factory=list[Received])
    latencies_ms: list[float] = field(default_factory=list[float])

    def sending(self, request: UUID, tenant: str, door: Literal["http", "kafka"], body_digest: str) -> None:
        """About to send: until the door says more, the fate of the request is unknown."""
        self.submissions[request] = Submission(request, tenant, door, body_digest, "unknown", now_ms())

    def told(self, request: UUID, state: Literal["accepted", "refused", "conflict"]) -> None:
        """The door has said so."""
        was = self.submissions[request]
        self.submissions[request] = Submission(was.request_id, was.tenant, was.door, was.body_digest, state, was.at_ms)

    def answered(self, answer: Received, since_ms: int) -> None:
        """An HTTP caller has received its answer."""
        self.received.append(answer)
        self.latencies_ms.append(now_ms() - since_ms)

    @property
    def accepted(self) -> int:
        """How many requests a door has accepted."""
        return sum(s.state == "accepted" for s in self.submissions.values())
