"""How a response is shown that nobody has to wait for: as it stands, or as a stream that can be taken up again.

The stream of a response in the background is a function of the response alone. Whichever door tells it, and however
often: the same event has the same number. Its content comes when it is certain, so no vendor's failure shows in it.
"""

import asyncio
from typing import Final

import msgspec

from allweather.dialects.openai_responses import splitting
from allweather.ingest import http, refusals, sse
from allweather.ingest.doors.call import Call
from allweather.ingest.doors.requests import Statuses
from allweather.ingest.doors.streamed import Patience
from allweather.ingest.doors.waiting import noticing_departure
from allweather.ingest.http import CallerGone
from allweather.ingest.replies import Reply
from allweather.ingest.responses import Face, Kept
from allweather.ingest.status import Status
from allweather.ingest.waiters import Left, Waiter, WaitingRoom
from allweather.runtime.postgres import DependencyAway

LOOK_S: Final = 2.0
"""How often it is looked up whether a vendor has begun."""


class Background:
    """Shows responses from what is stored of them, whoever accepted them."""

    def __init__(self, room: WaitingRoom, statuses: Statuses, patience: Patience) -> None:
        self._room = room
        self._statuses = statuses
        self._patience = patience

    async def status(self, kept: Kept) -> Status:
        """How far a response is. Raises `Refused` when that cannot be known now."""
        try:
            return await self._statuses.status(kept.request_id)
        except DependencyAway:
            raise refusals.unavailable("Responses cannot be looked up now; nothing of them is lost.") from None

    async def show(self, call: Call, kept: Kept, face: Face) -> None:
        """What the caller who created it is shown at once."""
        if kept.stream:
            await self.stream(call, kept, face, after=-1)
        else:
            await give(call, face, Status("pending"))

    async def outcome(self, kept: Kept, within: float) -> Status:
        """How far a response is when it is settled, or when that time has passed."""
        with self._room.waiting(_listener(kept)) as waiter:
            status = await self.status(kept)
            if status.reply is None and isinstance(reply := await waiter.next(within), Reply):
                return Status("settled", reply)
        return status if status.reply else await self.status(kept)

    async def stream(self, call: Call, kept: Kept, face: Face, *, after: int) -> None:
        """The events after that number, until the last one."""
        call.began = True
        told = [("content-type", sse.CONTENT_TYPE), ("cache-control", "no-cache"), ("x-accel-buffering", "no")]
        await http.begin(call.send, 200, [*told, *http.naming(call.request_id, call.dialect)])
        with self._room.waiting(_listener(kept)) as waiter:
            async with noticing_departure(call.receive, waiter):
                await self._follow(call, kept, face, waiter, after)
        await call.send({"type": "http.response.body", "body": b""})

    async def _follow(self, call: Call, kept: Kept, face: Face, waiter: Waiter, after: int) -> None:
        now = asyncio.get_running_loop().time
        status, spoken_at = await self._look(kept, Status("pending")), now()
        while True:
            events = face.events(dispatched=status.dispatched, reply=status.reply)
            fresh = list(splitting.numbered(events[after + 1 :], after + 1))
            if fresh or now() - spoken_at >= self._patience.keep_alive:
                part = sse.named(fresh) if fresh else sse.COMMENT
                await call.send({"type": "http.response.body", "body": part, "more_body": True})
                after, spoken_at = max(after, len(events) - 1), now()
            if status.reply is not None:
                return
            status = await self._next(kept, waiter, status)

    async def _next(self, kept: Kept, waiter: Waiter, status: Status) -> Status:
        match await waiter.next(LOOK_S):
            case Reply() as reply:
                return Status("settled", reply)
            case Left(caller_gone=True):
                raise CallerGone
            case Left():
                raise ConnectionError("the door closes; the stream is taken up elsewhere")
            case _:
                return status if status.dispatched else await self._look(kept, status)

    async def _look(self, kept: Kept, status: Status) -> Status:
        try:
            return await self._statuses.status(kept.request_id)
        except DependencyAway:
            return status


def _listener(kept: Kept) -> Waiter:
    """Somebody who has submitted nothing and waits for the outcome."""
    return Waiter(kept.request_id, body_digest="", correlation=b"", wants_deltas=False)


async def give(call: Call, face: Face, status: Status) -> None:
    """Answer with a response as it stands."""
    if status.reply is not None:
        shown, said = face.settled(status.reply), status.reply.http_headers
    else:
        shown, said = face.waiting("in_progress" if status.dispatched else "queued"), []
    told = [*http.naming(call.request_id, call.dialect), *said]
    await http.respond(call.send, 200, msgspec.json.encode(shown), told)
