"""Asks the HTTP door once a second, and writes down what it says and how long it takes."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from time import monotonic
from typing import Final
from uuid import UUID

import aiohttp
import msgspec

from allweather.contracts import ids
from allweather.contracts.model import digest
from allweather.drills.journal import Journal
from allweather.drills.stage import TENANT
from allweather.drills.tickets import all_tickets

_EVERY_S: Final = 1.0
_PATIENCE_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the door said; no status when the connection was refused or broke."""

    asked_at: float
    took_s: float
    status: int | None


@dataclass(slots=True)
class DoorProbe:
    """A caller that wants only the acknowledgement (`POST /v1/requests`), each time for a request of its own."""

    url: str
    key: str
    journal: Journal
    run: str
    resting: bool = False
    """Whether nothing is asked for now."""
    answers: list[Answer] = field(default_factory=list[Answer])
    given_up: set[UUID] = field(default_factory=set[UUID])
    """What was asked for and neither accepted nor asked for again: it may have an outcome or none."""

    async def ask_until(self, stop: asyncio.Event) -> None:
        """Ask once a second, whether or not earlier answers have come, and nothing while it rests."""
        async with aiohttp.ClientSession(self.url, trust_env=False) as http, asyncio.TaskGroup() as asking:
            for number in count():
                if not self.resting:
                    asking.create_task(self._ask(http, f"{self.run}-probe-{number}"))
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), _EVERY_S)
                if stop.is_set():
                    return

    def between(self, begin: float, end: float) -> list[Answer]:
        """The answers to what was asked in this stretch of `time.monotonic()`."""
        return [answer for answer in self.answers if begin <= answer.asked_at < end]

    async def _ask(self, http: aiohttp.ClientSession, key: str) -> None:
        request = ids.request_id(TENANT, key)
        body = msgspec.json.encode(all_tickets()[0].body())
        self.journal.sending(request, TENANT, "http", digest(body))
        asked = monotonic()
        status = await self._status(http, key, body)
        self.answers.append(Answer(asked, monotonic() - asked, status))
        if status == 202:
            self.journal.told(request, "accepted")
        else:
            self.given_up.add(request)

    async def _status(self, http: aiohttp.ClientSession, key: str, body: bytes) -> int | None:
        named = {"Authorization": f"Bearer {self.key}", "Idempotency-Key": key, "Content-Type": "application/json"}
        patience = aiohttp.ClientTimeout(total=_PATIENCE_S)
        try:
            async with http.post("/v1/requests", data=body, headers=named, timeout=patience) as answer:
                await answer.read()
                return answer.status
        except (aiohttp.ClientError, TimeoutError):
            return None
