"""Callers that wait at this door: by request, since a request may have several."""

import asyncio
from collections import deque
from collections.abc import Collection, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from allweather.ingest.deltas import Delta
from allweather.ingest.replies import Reply


@dataclass(frozen=True, slots=True)
class Left:
    """The caller has gone, or the door closes: nobody waits here any more."""

    caller_gone: bool


CALLER_GONE: Final = Left(caller_gone=True)
DOOR_CLOSES: Final = Left(caller_gone=False)

Event = Delta | Reply | Left


class Waiter:
    """One caller that waits for one request."""

    __slots__ = ("_events", "_wake", "body_digest", "correlation", "opened_at", "request_id", "wants_deltas")

    def __init__(self, request_id: UUID, *, body_digest: str, correlation: bytes, wants_deltas: bool) -> None:
        self.request_id = request_id
        self.body_digest = body_digest
        """Empty for one that only listens and has submitted nothing."""
        self.correlation = correlation
        """Names this submission; a reply that concerns no other submission of the request carries it."""
        self.wants_deltas = wants_deltas
        self.opened_at = asyncio.get_running_loop().time()
        self._events: deque[Event] = deque()
        self._wake: asyncio.Future[None] | None = None

    def give(self, event: Event) -> None:
        """Hand over an event; never waits."""
        self._events.append(event)
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def next(self, timeout: float) -> Event | None:
        """The next event, or None when there is none within `timeout` seconds."""
        if not self._events and timeout > 0:
            loop = asyncio.get_running_loop()
            self._wake = loop.create_future()
            timer = loop.call_later(timeout, _release, self._wake)
            try:
                await self._wake
            finally:
                timer.cancel()
                self._wake = None
        return self._events.popleft() if self._events else None


def _release(wake: asyncio.Future[None]) -> None:
    if not wake.done():
        wake.set_result(None)


class WaitingRoom:
    """All callers that wait at this door."""

    def __init__(self) -> None:
        self._waiters: dict[bytes, list[Waiter]] = {}
        self._closed = False
        self.count = 0

    @contextmanager
    def waiting(self, waiter: Waiter) -> Generator[Waiter]:
        """Have `waiter` here while the block runs."""
        key = str(waiter.request_id).encode()
        here = self._waiters.setdefault(key, [])
        here.append(waiter)
        self.count += 1
        if self._closed:
            waiter.give(DOOR_CLOSES)
        try:
            yield waiter
        finally:
            self.count -= 1
            here.remove(waiter)
            if not here:
                self._waiters.pop(key, None)

    def at(self, key: bytes | None) -> Collection[Waiter]:
        """Who waits for the request of this record key."""
        return self._waiters.get(key or b"", ())

    def other_body(self, request_id: UUID, body_digest: str) -> bool:
        """Whether somebody waits here for the same request with another body."""
        return any(waiter.body_digest not in ("", body_digest) for waiter in self.at(str(request_id).encode()))

    def older_than(self, seconds: float) -> set[UUID]:
        """The requests for which somebody has waited for longer."""
        limit = asyncio.get_running_loop().time() - seconds
        return {waiter.request_id for waiter in self if waiter.opened_at <= limit}

    def close(self) -> None:
        """Tell everybody, and whoever still comes, that the door closes."""
        self._closed = True
        for waiter in self:
            waiter.give(DOOR_CLOSES)

    def __iter__(self) -> Iterator[Waiter]:
        return (waiter for here in tuple(self._waiters.values()) for waiter in here)
