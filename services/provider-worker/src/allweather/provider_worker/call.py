"""One vendor call: limits of time and size around a transport and a translator. Never retried here.

It ends in an answer or raises `Failed`, whatever the vendor, the network or the clock does.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from allweather.contracts.answers import Answer, Assembly, Event, Unfinished
from allweather.contracts.failures import FailureKind
from allweather.provider_worker.adapters.http import Incoming, Transport, TransportFailed
from allweather.provider_worker.passing import Passing, shows
from allweather.provider_worker.reading import cut_off
from allweather.provider_worker.sse import EventParser, EventTooLong
from allweather.provider_worker.wire import (
    Answered,
    Failed,
    Format,
    HttpRequest,
    HttpResponse,
    ServerSentEvent,
    StreamReader,
    failed,
)

T = TypeVar("T")

MAX_ANSWER_BYTES = 16 << 20
TERMINATOR_GRACE_S = 1.0
"""How long to wait for the counts and the terminator of an answer that is complete already."""
BODY_END_GRACE_S = 0.05
"""How long to wait for the end of the body after the terminator: most often it is here already."""
REQUEST_ID_HEADERS = ("request-id", "x-request-id", "apim-request-id", "x-vertex-request-id")


class Patience(msgspec.Struct, frozen=True):
    """Limits of one call, in seconds."""

    first_token: float
    between_tokens: float
    total: float


@dataclass(slots=True)
class Notes:
    """What is seen of a call, written down as it happens: a failure says as much as an answer."""

    http_status: int | None = None
    headers: Mapping[str, str] | None = None
    first_content_at: float | None = None
    """Time of the event loop."""

    @property
    def vendor_request_id(self) -> str | None:
        headers = self.headers or {}
        return next((headers[name] for name in REQUEST_ID_HEADERS if name in headers), None)


Show = Callable[[str, bool], None]
"""Takes the payload of an event for the caller, and whether there is content in it."""


class Call(msgspec.Struct, frozen=True):
    """What is asked, in which form the vendor answers, and how the answer is passed on."""

    request: HttpRequest
    format: Format
    passing: Passing
    choices: int = 1
    """How many answers are asked for."""
    show: Show | None = None
    """Takes the pieces of a stream as they come; None when the caller waits for the whole."""


class VendorCall:
    """Calls one vendor through `transport`."""

    def __init__(self, transport: Transport, now_ms: Callable[[], int]) -> None:
        self._transport, self._now_ms = transport, now_ms

    async def answer(self, call: Call, patience: Patience, notes: Notes) -> Answered[Answer]:
        """The answer, whether it comes whole or as a stream.

        An answer that comes whole has come when its first token has: that limit holds for all of it.
        """
        timer = _Timer(patience)
        return await self._sent(call.request, timer, notes, lambda response: self._read(response, call, timer, notes))

    async def response(self, request: HttpRequest, patience: Patience, notes: Notes) -> HttpResponse:
        """The response to what is never streamed, whatever its status: within the limit of the first token.

        How large it is follows from what was asked, so that one which is too large is no vendor's fault.
        """
        blame = FailureKind.INVALID
        return await self._sent(request, _Timer(patience), notes, lambda response: self._whole(response, notes, blame))

    async def _sent(
        self, request: HttpRequest, timer: "_Timer", notes: Notes, read: Callable[[Incoming], Awaitable[T]]
    ) -> T:
        try:
            async with timer.timeout, self._transport.send(request) as response:
                notes.http_status, notes.headers = response.status, response.headers
                _refuse_encoding(response)
                return await read(response)
        except TransportFailed as error:
            raise failed(FailureKind.UNAVAILABLE, f"{error}.", code="transport") from error
        except TimeoutError:
            raise timer.failure() from None

    async def _read(self, response: Incoming, call: Call, timer: "_Timer", notes: Notes) -> Answered[Answer]:
        if _is_stream(response):
            reading = _Reading(call.format.stream(self._now_ms()), call, timer, notes)
            await reading.all_of(response)
            return self._complete(reading, call, notes)
        whole = await self._whole(response, notes)
        answer = call.format.answer(whole)
        if call.show is not None:
            for payload in call.passing.in_one(answer):
                call.show(payload, True)
        return Answered(answer, call.passing.whole(answer, whole.body if whole.status == 200 else None))

    def _complete(self, reading: "_Reading", call: Call, notes: Notes) -> Answered[Answer]:
        """The answer that was read; without a finish reason it is a failure, and what came unframed may say which."""
        stray = reading.parser.stray
        if not reading.assembly.finished and stray:
            call.format.answer(self._response(200, notes, bytes(stray)))
        answer = reading.answer()
        if call.show is not None:
            for payload in call.passing.end():
                call.show(payload, False)
        return Answered(answer, call.passing.whole(answer, None))

    async def _whole(
        self, response: Incoming, notes: Notes, blame: FailureKind = FailureKind.UNAVAILABLE
    ) -> HttpResponse:
        pieces: list[bytes] = []
        size = 0
        while piece := await response.read():
            pieces.append(piece)
            size += len(piece)
            _refuse_endless(size, blame)
        notes.first_content_at = asyncio.get_running_loop().time()
        return self._response(response.status, notes, b"".join(pieces))

    def _response(self, status: int, notes: Notes, body: bytes) -> HttpResponse:
        return HttpResponse(status, notes.headers or {}, body, self._now_ms())


class _Reading:
    """One stream being read to its end."""

    def __init__(self, reader: StreamReader, call: Call, timer: "_Timer", notes: Notes) -> None:
        self._reader, self._passing, self._show = reader, call.passing, call.show
        self._timer, self._notes = timer, notes
        self.parser, self.assembly = EventParser(), Assembly(call.choices)

    def answer(self) -> Answer:
        """The answer that was read. Raises `Failed` when it has no finish reason."""
        try:
            return self.assembly.answer()
        except Unfinished:
            raise cut_off() from None

    async def all_of(self, response: Incoming) -> None:
        """Read to the end of the body, so that the connection can be used again."""
        size = 0
        try:
            while piece := await self._next(response):
                size += len(piece)
                _refuse_endless(size, FailureKind.UNAVAILABLE)
                self._take(self.parser.feed(piece))
        except EventTooLong:
            raise failed(FailureKind.UNAVAILABLE, "An event does not end.", code="event_too_long") from None
        if not self.assembly.finished:
            self._take(self.parser.end())

    async def _next(self, response: Incoming) -> bytes:
        """The next piece. Once the answer is complete, a stream that breaks or stalls has merely ended."""
        if not self.assembly.finished:
            return await response.read()
        try:
            async with asyncio.timeout(BODY_END_GRACE_S if self._reader.ended else TERMINATOR_GRACE_S):
                return await response.read()
        except (TransportFailed, TimeoutError):
            return b""

    def _take(self, events: Iterable[ServerSentEvent]) -> None:
        had_content = False
        for event in events:
            said = self._read(event)
            content = shows(said)
            if content and not had_content:
                had_content = True
                self._note_content()
            for each in said:
                self.assembly.add(each)
            if self._reader.ended:
                self.assembly.close()
            if not self._reader.aside:
                for payload in self._passing.pieces(event, said):
                    if self._show is not None:
                        self._show(payload, content)

    def _read(self, event: ServerSentEvent) -> Sequence[Event]:
        """What the event says. Once the answer is complete, an error or a spoiled event takes nothing from it."""
        try:
            return self._reader.read(event)
        except Failed:
            if not self.assembly.finished:
                raise
            self._reader.aside = True
            return ()

    def _note_content(self) -> None:
        self._timer.content()
        if self._notes.first_content_at is None:
            self._notes.first_content_at = asyncio.get_running_loop().time()


class _Timer:
    """One timer for a whole call, put forward as content arrives."""

    def __init__(self, patience: Patience) -> None:
        self._loop = asyncio.get_running_loop()
        self._between = patience.between_tokens
        now = self._loop.time()
        self._end = now + patience.total
        self.limits = "the first token", patience.first_token
        self.timeout = asyncio.timeout_at(min(self._end, now + patience.first_token))

    def content(self) -> None:
        """Content has come: the limit of the first token no longer holds, that between tokens begins anew."""
        self.limits = "the next token", self._between
        self.timeout.reschedule(min(self._end, self._loop.time() + self._between))

    def failure(self) -> Failed:
        """What to say when the time is up."""
        if self._loop.time() >= self._end:
            return failed(FailureKind.UNAVAILABLE, "The call took longer than it may in all.", code="total_timeout")
        what, limit = self.limits
        return failed(FailureKind.UNAVAILABLE, f"The vendor did not send {what} within {limit:g} s.", code="timeout")


def _is_stream(response: Incoming) -> bool:
    return response.status == 200 and response.headers.get("content-type", "").startswith("text/event-stream")


def _refuse_encoding(response: Incoming) -> None:
    """We ask for none, so that no small answer can unfold into a huge one."""
    encoding = response.headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise failed(FailureKind.UNAVAILABLE, "The answer is encoded though we asked for none.", code="encoded_answer")


def _refuse_endless(size: int, blame: FailureKind) -> None:
    if size > MAX_ANSWER_BYTES:
        raise failed(blame, f"The answer is larger than {MAX_ANSWER_BYTES >> 20} MiB.", code="answer_too_large")
