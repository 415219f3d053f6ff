"""Calls that were sent to one deployment and have not come back, and how many it bears at once."""

from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

_WAIT_MS = 60_000
"""After a rebalance another replica sees releases and results: what does not come must not count for ever."""
_ROUND_MS = 1_000


class _Call(NamedTuple):
    until_ms: int
    released: bool


@dataclass(slots=True)
class InFlight:
    """Counts the calls of fresh and of released requests. One that never comes back is forgotten after a while.

    The limit follows the worker's: up by one for a whole round of answers, down by 30 % when it is pushed back.
    """

    limit: float
    most: float
    _calls: dict[UUID, _Call] = field(default_factory=dict[UUID, _Call])
    _coming: dict[UUID, int] = field(default_factory=dict[UUID, int])
    """Requests that were let go and are not here yet: until when they are waited for."""
    _released: int = 0
    _reduced_ms: int = 0

    def __len__(self) -> int:
        return len(self._calls) + len(self._coming)

    @property
    def released(self) -> int:
        """How many of them are calls of requests that had been parked, or will soon be."""
        return self._released + len(self._coming)

    @property
    def fresh(self) -> int:
        """How many of them are calls of requests that have never been parked."""
        return len(self._calls) - self._released

    def let_go(self, request: UUID, now_ms: int) -> None:
        """A parked request was let go, and will soon be here."""
        self._coming[request] = now_ms + _WAIT_MS

    def arrived(self, request: UUID) -> None:
        """From now on its call counts."""
        self._coming.pop(request, None)

    def reassigned(self) -> None:
        """What was let go may come to another replica: it is not waited for any longer."""
        self._coming.clear()

    def began(self, call: UUID, now_ms: int, *, released: bool) -> None:
        self.ended(call)
        self._calls[call] = _Call(now_ms + _WAIT_MS, released)
        self._released += released

    def ended(self, call: UUID) -> None:
        known = self._calls.pop(call, None)
        if known is not None:
            self._released -= known.released

    def answered(self) -> None:
        """The deployment bore a call."""
        self.limit = min(self.most, self.limit + 1 / self.limit)

    def pushed_back(self, now_ms: int) -> None:
        """A call found no free slot, or was told to slow down. Many at once count once."""
        if now_ms - self._reduced_ms >= _ROUND_MS:
            self.limit, self._reduced_ms = max(1.0, self.limit * 0.7), now_ms

    def forget(self, now_ms: int) -> None:
        """Drop what began too long ago. Calls are kept in the order in which they began."""
        while self._calls and next(iter(self._calls.values())).until_ms < now_ms:
            self.ended(next(iter(self._calls)))
        for request in [request for request, until_ms in self._coming.items() if until_ms < now_ms]:
            del self._coming[request]
