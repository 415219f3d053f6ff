"""`POST /v1/chat/completions`: OpenAI Chat Completions, plain and streamed."""

from typing import Any, Final

import msgspec

from allweather.contracts import ids
from allweather.ingest import http, refusals
from allweather.ingest.acceptance import INTERACTIVE, Acceptance
from allweather.ingest.doors.call import Call, DoorEndpoint, give
from allweather.ingest.doors.streamed import Patience, Streamed
from allweather.ingest.doors.waiting import noticing_departure, wait_limit
from allweather.ingest.http import CallerGone
from allweather.ingest.keys import Keyring
from allweather.ingest.minting import uuid7
from allweather.ingest.replies import Reply
from allweather.ingest.submission import Submission, submission
from allweather.ingest.waiters import Left, Waiter
from allweather.runtime.clock import Clock

QUICK_S: Final = 1.0
"""Most answers come sooner; only then is it worth to listen for the caller's departure."""


class _Peek(msgspec.Struct):
    """What of a body changes how the door answers. Policy judges the rest."""

    stream: Any = None
    stream_options: Any = None

    @property
    def include_usage(self) -> bool:
        options: Any = self.stream_options
        return isinstance(options, dict) and options.get("include_usage") is True  # pyright: ignore[reportUnknownMemberType] - any JSON


_peek = msgspec.json.Decoder(_Peek)


class ChatCompletions(DoorEndpoint):
    """Accepts a chat request and answers when its outcome is there."""

    def __init__(
        self,
        keyring: Keyring,
        acceptance: Acceptance,
        clock: Clock,
        *,
        patience: Patience,
        max_waiting: int,
    ) -> None:
        super().__init__("POST", keyring)
        self._room = acceptance.room
        self._acceptance = acceptance
        self._clock = clock
        self._patience = patience
        self._max_waiting = max_waiting

    async def serve(self, call: Call) -> None:
        if self._room.count >= self._max_waiting:
            raise refusals.crowded()
        body = await http.read_body(call.incoming, call.receive)
        peek = read_json(body)
        now = self._clock.now_ms()
        asked = submission(
            call.tenant, call.incoming, body, minted=str(uuid7(now)), accepted_at_ms=now, defaults=INTERACTIVE
        )
        call.request_id = ids.public_id(asked.request_id, call.tenant, self._acceptance.secret)
        limit = wait_limit(asked, call.incoming)
        streamed = peek.stream is True
        with self._room.waiting(_waiter(asked, wants_deltas=streamed)) as waiter:
            await self._acceptance.accept(asked)
            if streamed:
                usage, failpoints = peek.include_usage, self._acceptance.failpoints
                await Streamed(call, waiter, self._patience, limit, include_usage=usage, failpoints=failpoints).serve()
            else:
                await _plain(call, waiter, limit)


def read_json(body: bytes) -> _Peek:
    """The body, as far as the door reads it. Raises `Refused` when it is no JSON; whether it is more, policy says."""
    try:
        body.decode()
        return _peek.decode(body)
    except msgspec.ValidationError:
        return _Peek()
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError) as error:
        raise http.not_json(error, body) from None


def _waiter(asked: Submission, *, wants_deltas: bool) -> Waiter:
    return Waiter(
        asked.request_id, body_digest=asked.body_digest, correlation=asked.correlation, wants_deltas=wants_deltas
    )


async def _plain(call: Call, waiter: Waiter, limit: float) -> None:
    event = await waiter.next(min(QUICK_S, limit))
    if event is None:
        async with noticing_departure(call.receive, waiter):
            event = await waiter.next(limit - QUICK_S)
    match event:
        case Reply():
            await give(call, event)
        case Left(caller_gone=True):
            raise CallerGone
        case _:
            raise refusals.pending(call.request_id)
