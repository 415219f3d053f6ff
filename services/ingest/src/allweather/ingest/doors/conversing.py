"""What the doors have in common at which a caller waits for a model's answer, plain or streamed."""

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from allweather.contracts import ids
from allweather.ingest import http, refusals
from allweather.ingest.acceptance import INTERACTIVE, Acceptance
from allweather.ingest.doors.call import Call, DoorEndpoint, give
from allweather.ingest.doors.streamed import Patience, Streamed
from allweather.ingest.doors.waiting import noticing_departure, wait_limit
from allweather.ingest.forms.form import Form
from allweather.ingest.http import CallerGone
from allweather.ingest.keys import Keyring
from allweather.ingest.minting import uuid7
from allweather.ingest.replies import Reply
from allweather.ingest.submission import Submission, submission
from allweather.ingest.waiters import Left, Waiter
from allweather.runtime.clock import Clock

QUICK_S: Final = 1.0
"""Most answers come sooner; only then is it worth to listen for the caller's departure."""


class Peek(msgspec.Struct):
    """What of a body changes how the door answers. Policy judges the rest."""

    stream: Any = None
    stream_options: Any = None
    n: Any = None

    @property
    def choices(self) -> int:
        """How many answers are asked for, each of which has its end."""
        return self.n if isinstance(self.n, int) and self.n > 0 else 1

    @property
    def include_usage(self) -> bool:
        options: Any = self.stream_options
        return isinstance(options, dict) and options.get("include_usage") is True  # pyright: ignore[reportUnknownMemberType] - any JSON


_peek = msgspec.json.Decoder(Peek)


class Conversing(DoorEndpoint):
    """Accepts a request in one dialect and answers when its outcome is there."""

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

    async def body(self, call: Call) -> bytes:
        """The body of a call for which there is room."""
        if self._room.count >= self._max_waiting:
            raise refusals.crowded()
        return await http.read_body(call.incoming, call.receive)

    def asked(self, call: Call, body: bytes, defaults: Mapping[str, bytes]) -> Submission:
        """What the caller submits; from now on the call has the id of the request."""
        now = self._clock.now_ms()
        asked = submission(
            call.tenant, call.incoming, body, minted=str(uuid7(now)), accepted_at_ms=now, defaults=defaults
        )
        call.request_id = ids.public_id(asked.request_id, call.tenant, self._acceptance.secret)
        return asked

    async def answer(
        self, call: Call, asked: Submission, form: Form | None, give: Callable[[Call, Reply], Awaitable[None]] = give
    ) -> None:
        """Submit, and answer with the outcome: as a stream in that form, or as `give` gives it."""
        limit = wait_limit(asked, call.incoming)
        with self._room.waiting(_waiter(asked, wants_deltas=form is not None)) as waiter:
            await self._acceptance.accept(asked)
            if form is None:
                await give(call, await _outcome(call, waiter, limit))
            else:
                failpoints = self._acceptance.failpoints
                await Streamed(call, waiter, self._patience, limit, form=form, failpoints=failpoints).serve()


class PassedOn(Conversing):
    """Publishes the caller's own bytes."""

    defaults: Mapping[str, bytes] = INTERACTIVE
    """Record headers that say how a request of this door is to be treated, where its caller says nothing."""

    @abstractmethod
    def form(self, peek: Peek) -> Form:
        """How this caller's stream is written."""

    def check(self, call: Call, body: bytes) -> None:
        """Raise `Refused` for what the API itself refuses and policy cannot see."""

    async def serve(self, call: Call) -> None:
        body = await self.body(call)
        peek = read_json(body)
        self.check(call, body)
        asked = self.asked(call, body, self.defaults)
        await self.answer(call, asked, self.form(peek) if peek.stream is True else None)


def read_json(body: bytes) -> Peek:
    """The body, as far as the door reads it. Raises `Refused` when it is no JSON; whether it is more, policy says."""
    try:
        body.decode()
        return _peek.decode(body)
    except msgspec.ValidationError:
        return Peek()
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError) as error:
        raise http.not_json(error, body) from None


def _waiter(asked: Submission, *, wants_deltas: bool) -> Waiter:
    return Waiter(
        asked.request_id, body_digest=asked.body_digest, correlation=asked.correlation, wants_deltas=wants_deltas
    )


async def _outcome(call: Call, waiter: Waiter, limit: float) -> Reply:
    event = await waiter.next(min(QUICK_S, limit))
    if event is None:
        async with noticing_departure(call.receive, waiter):
            event = await waiter.next(limit - QUICK_S)
    match event:
        case Reply():
            return event
        case Left(caller_gone=True):
            raise CallerGone
        case _:
            raise refusals.pending(call.request_id)
