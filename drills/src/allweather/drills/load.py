"""A steady stream of requests, half through each door, some of them streamed."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from allweather.drills.clients import HttpClient, KafkaClient
from allweather.drills.tickets import Ticket, all_tickets


@dataclass(slots=True)
class Load:
    """Sends `per_second` requests until stopped; knows which are still open at their client."""

    kafka: KafkaClient
    http: HttpClient
    run: str
    per_second: float
    on_sent: Callable[[], None] = lambda: None
    sent: int = 0
    failures: list[BaseException] = field(default_factory=list[BaseException])
    """A client that failed in a way it does not know: a defect of ours."""
    _open: set[asyncio.Task[Any]] = field(default_factory=set[asyncio.Task[Any]])

    async def until(self, stop: asyncio.Event) -> None:
        """Send until `stop` is set."""
        tickets = all_tickets()
        for number in count():
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
        if number % 2:
            sending = self.kafka.send(key, ticket.body())
        else:
            sending = self.http.send(key, ticket.body(stream=number % 6 == 0))
        task = asyncio.create_task(sending)
        self._open.add(task)
        task.add_done_callback(self._done)
        self.sent += 1
        self.on_sent()

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._open.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self.failures.append(error)
