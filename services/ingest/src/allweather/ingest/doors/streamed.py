"""A streamed answer on its way to one caller: when to hold, when to send, when to show life, when to give up."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from allweather.failpoints import OFF, Failpoints
from allweather.ingest import http, refusals, sse
from allweather.ingest.deltas import Delta
from allweather.ingest.doors.call import Call, give
from allweather.ingest.doors.waiting import noticing_departure
from allweather.ingest.forms.form import Form
from allweather.ingest.http import CallerGone
from allweather.ingest.replies import Reply
from allweather.ingest.stream import Stream
from allweather.ingest.waiters import Left, Waiter
from allweather.telemetry.metrics import REPLY_DELIVERIES, Door

REST_S: Final = 2.0
"""How long the last deltas may come after the reply, which travels another way."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a stream is held, and how often it shows that it lives; in seconds."""

    hold: float = 5.0
    keep_alive: float = 15.0


class Streamed:
    """One streamed answer. Nothing is sent until there is content or an outcome, at most `hold` seconds long."""

    def __init__(
        self,
        call: Call,
        waiter: Waiter,
        patience: Patience,
        limit: float,
        *,
        form: Form,
        failpoints: Failpoints = OFF,
    ) -> None:
        self._call = call
        self._waiter = waiter
        self._patience = patience
        self._form = form
        self._stream = Stream(call.request_id, form, failpoints)
        self._now = asyncio.get_running_loop().time
        self._until = self._now() + limit
        self._silent_since = self._now()
        self._begun = False
        """Whether the status has gone out, so that errors can only be events."""

    async def serve(self) -> None:
        async with noticing_departure(self._call.receive, self._waiter):
            while not self._stream.ended:
                await self._take(await self._waiter.next(self._pause()))
        if self._begun:
            REPLY_DELIVERIES.inc(Door("http", self._call.tenant))
            await self._call.send({"type": "http.response.body", "body": b""})

    async def _take(self, event: Delta | Reply | Left | None) -> None:
        match event:
            case Delta():
                await self._send(self._stream.delta(event), event.told)
            case Reply() if not self._begun and not event.is_answer:
                self._stream.ended = True
                await give(self._call, event)
            case Reply():
                self._until = min(self._until, self._now() + REST_S)
                await self._send(self._stream.reply(event), event.http_headers)
            case Left(caller_gone=True):
                raise CallerGone
            case Left():
                await self._give_up()
            case None:
                await self._silence()

    async def _silence(self) -> None:
        """Nothing came for a while: say that the connection lives, or give up."""
        if self._now() < self._until:
            await self._send(self._form.keep_alive)
        elif self._stream.awaits_the_rest:
            await self._send(self._stream.rest_is_missing())
        else:
            await self._give_up()

    async def _give_up(self) -> None:
        refused = refusals.pending(self._call.request_id)
        if not self._begun:
            raise refused
        await self._send(self._stream.give_up(refused.error))

    def _pause(self) -> float:
        """Seconds until something must be sent though nothing has come."""
        quiet = self._patience.keep_alive if self._begun else self._patience.hold
        return max(0.001, min(self._until, self._silent_since + quiet) - self._now())

    async def _send(self, part: bytes, who: Iterable[tuple[str, str]] = ()) -> None:
        """Send a part; the first one goes after the headers, with what is known of who answers."""
        if not part:
            return
        if not self._begun:
            self._call.began = self._begun = True
            told = [("content-type", sse.CONTENT_TYPE), ("cache-control", "no-cache"), ("x-accel-buffering", "no")]
            named = http.naming(self._call.request_id, self._call.dialect)
            await http.begin(self._call.send, 200, [*told, *named, *who])
        self._silent_since = self._now()
        await self._call.send({"type": "http.response.body", "body": part, "more_body": True})
