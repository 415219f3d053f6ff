"""A steady stream of requests, in several ways by turns."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from allweather.drills.clients import HttpClient, KafkaClient
from allweather.drills.tickets import Ticket, all_tickets

Send = Callable[[str, Ticket], Awaitable[object]]
"""One way to ask for a ticket's triage, under a key; returns when the client has what it asks for."""


def both_doors(kafka: KafkaClient, http: HttpClient) -> Sequence[Send]:
    """Half through each door, a third of the HTTP half streamed."""

    def publish(key: str, ticket: Ticket) -> Awaitable[object]:
        return kafka.send(key, ticket.body())

    def call(key: str, ticket: Ticket) -> Awaitable[object]:
        return http.send(key, ticket.body())

    def stream(key: str, ticket: Ticket) -> Awaitable[object]:
        return http.send(key, ticket.body(stream=True))

    return stream, publish, call, publish, call, publish


@dataclass(slots=True)
class Load:
    """Sends `per_second` requests until stopped; knows which are still open at their client."""

    ways: Sequence[Send]
    run: str
    per_second: float
    on_sent: Callable[[], None] = lambda: None
    sent: int = 0
    resting: bool = False
    """Whether nothing is sent for now."""
    failures: list[BaseException] = field(default_factory=list[BaseException])
    """A client that failed in a way it does not know: a defect of ours."""
    _open: set[asyncio.Future[Any]] = field(default_factory=set[asyncio.Future[Any]])

    async def until(self, stop: asyncio.Event) -> None:
        """Send until `stop` is set, and nothing while it rests."""
        tickets = all_tickets()
        for number in count():
            if not self.resting:
                self._send(number, tickets[number % len(tickets)])
            try:
                await asyncio.wait_for(stop.wait(), 1 / self.per_second)
            except TimeoutError:
                continue
            return

    async def answered(self, within: float) -> int:
        """Wait until the clients have all that they asked for; returns how many are still waiting after `within` s.

        Raises what a client failed with in a way it does not know.
        """
        if self._open:
            await asyncio.wait(self._open, timeout=within)
        if self.failures:
            raise self.failures[0]
        return len(self._open)

    async def close(self) -> None:
        """Stop waiting for what is still open."""
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def _send(self, number: int, ticket: Ticket) -> None:
        key = f"{self.run}-{number}-{ticket.id}"
        task = asyncio.ensure_future(self.ways[number % len(self.ways)](key, ticket))
        self._open.add(task)
        task.add_done_callback(self._done)
        self.sent += 1
        self.on_sent()

    def _done(self, task: asyncio.Future[Any]) -> None:
        self._open.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self.failures.append(error)
