"""A streamed answer on its way to the caller: held until it has content, then sent in pieces of up to 25 ms."""

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from typing import Protocol

from allweather.contracts.records import Delta

log = logging.getLogger(__name__)

INTERVAL_S = 0.025


class DeltaSender(Protocol):
    """Takes the deltas of one call to where the caller waits."""

    async def send(self, deltas: Sequence[tuple[int, bytes]]) -> None:
        """Return when every delta (its sequence number and its record's value) is acknowledged.

        Raises `DeltasLost` when that cannot be had.
        """
        ...


class DeltasLost(Exception):
    """A delta may not have reached the caller, so that nothing may be built on this stream."""


class DeltaStream:
    """The deltas of one call. Adding never waits: a task of its own sends what has come up."""

    def __init__(self, sender: DeltaSender, call_id: str) -> None:
        self._sender, self._call_id = sender, call_id
        self._loop = asyncio.get_running_loop()
        self._held: list[str] = []
        self._with_content = False
        self._timer: asyncio.TimerHandle | None = None
        self._sent_at = float("-inf")
        self._outbox: list[tuple[int, bytes]] = []
        self._pump: asyncio.Task[None] | None = None
        self._digest = hashlib.sha256()
        self.count = 0
        self.released = False
        """Whether content has left for the caller: from then on no other call can take over unseen."""
        self.lost = False
        """Whether a delta may be missing at the caller's."""

    @property
    def digest(self) -> str | None:
        """SHA-256 over the values of all deltas in their order, None when there are none."""
        return self._digest.hexdigest() if self.count else None

    def add(self, payload: str, has_content: bool) -> None:
        """Take the payload of the next event along; the first one with content leaves at once."""
        if self.lost:
            return
        self._held.append(payload)
        self._with_content = self._with_content or has_content
        if self._timer is None and (self._with_content or self.released):
            delay = self._sent_at + INTERVAL_S - self._loop.time()
            if delay <= 0:
                self._release()
            else:
                self._timer = self._loop.call_later(delay, self._release)

    async def finish(self) -> None:
        """Send what is left of a complete answer, and return when everything is acknowledged or known to be lost."""
        self._stop_timer()
        if self._held:
            self._release()
        await self._acknowledged()

    async def abandon(self) -> None:
        """Forget what is held of an answer that has failed; what has been released is waited for."""
        self._stop_timer()
        self._held.clear()
        await self._acknowledged()

    def stop(self) -> None:
        """Leave at once; for a call that was cancelled. Harmless after `finish` and `abandon`."""
        self._stop_timer()
        if self._pump is not None:
            self._pump.cancel()

    def _release(self) -> None:
        self._timer, self._sent_at = None, self._loop.time()
        delta = Delta(
            call_id=self._call_id, sequence=self.count, events=tuple(self._held), has_content=self._with_content
        )
        self.released = self.released or self._with_content
        self._held.clear()
        self._with_content = False
        value = delta.to_json()
        self._digest.update(value)
        self._outbox.append((self.count, value))
        self.count += 1
        if self._pump is None:
            self._pump = asyncio.create_task(self._send())

    async def _send(self) -> None:
        """Send batch after batch, so that deltas never overtake each other."""
        while self._outbox and not self.lost:
            batch, self._outbox = self._outbox, []
            try:
                await self._sender.send(batch)
            except DeltasLost as error:
                self.lost = True
                log.warning("deltas lost: %s", error)
        self._pump = None

    async def _acknowledged(self) -> None:
        if self._pump is not None:
            await self._pump

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
