"""One vendor call: limits of time and size around a transport and a translator. Never retried here.

It ends in an `Answer` or raises `Failed`, whatever the vendor, the network or the clock does.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from allweather.contracts.failures import FailureKind
from allweather.provider_worker import chat
from allweather.provider_worker.adapters.http import Incoming, Transport, TransportFailed
from allweather.provider_worker.assembly import Assembler
from allweather.provider_worker.sse import EventParser, EventTooLong
from allweather.provider_worker.wire import (
    Answer,
    Chunk,
    Failed,
    HttpRequest,
    HttpResponse,
    ServerSentEvent,
    StreamReader,
    Translator,
    failed,
)

MAX_ANSWER_BYTES = 16 << 20
TERMINATOR_GRACE_S = 1.0
"""How long to wait for the counts and the terminator of an answer that is complete already."""
BODY_END_GRACE_S = 0.05
"""How long to wait for the end of the body after the terminator: most often it is here already."""
REQUEST_ID_HEADERS = ("request-id", "x-request-id", "apim-request-id", "x-vertex-request-id")


@dataclass(frozen=True, slots=True)
class Patience:
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


Show = Callable[[Chunk, bool], None]
"""Takes a chunk, and whether there is content in it."""


class VendorCall:
    """Calls one vendor through `transport`, in the words of `translator`."""

    def __init__(self, transport: Transport, translator: Translator, now_ms: Callable[[], int]) -> None:
        self._transport, self._translator, self._now_ms = transport, translator, now_ms

    async def answer(self, request: HttpRequest, patience: Patience, notes: Notes, show: Show | None = None) -> Answer:
        """The answer, whether it comes whole or as a stream; `show` is given each chunk as it comes.

        An answer that comes whole has come when its first token has: that limit holds for all of it.
        """
        timer = _Timer(patience)
        try:
            async with timer.timeout, self._transport.send(request) as response:
                notes.http_status, notes.headers = response.status, response.headers
                return await self._read(response, timer, notes, show)
        except TransportFailed as error:
            raise failed(FailureKind.UNAVAILABLE, f"{error}.", code="transport") from error
        except TimeoutError:
            raise timer.failure() from None

    async def _read(self, response: Incoming, timer: "_Timer", notes: Notes, show: Show | None) -> Answer:
        _refuse_encoding(response)
        if _is_stream(response):
            reading = _Reading(self._translator.stream(self._now_ms()), timer, notes, show)
            await reading.all_of(response)
            return self._complete(reading, notes)
        answer = self._translator.answer(await self._whole(response, notes))
        if show is not None:
            show(chat.as_chunk(answer), True)
        return answer

    def _complete(self, reading: "_Reading", notes: Notes) -> Answer:
        """The answer that was read; without a finish reason it is a failure, and what came unframed may say which."""
        stray = reading.parser.stray
        if not reading.assembler.finished and stray:
            self._translator.answer(self._response(200, notes, bytes(stray)))
        return reading.assembler.answer()

    async def _whole(self, response: Incoming, notes: Notes) -> HttpResponse:
        pieces: list[bytes] = []
        size = 0
        while piece := await response.read():
            pieces.append(piece)
            size += len(piece)
            _refuse_endless(size)
        notes.first_content_at = asyncio.get_running_loop().time()
        return self._response(response.status, notes, b"".join(pieces))

    def _response(self, status: int, notes: Notes, body: bytes) -> HttpResponse:
        return HttpResponse(status, notes.headers or {}, body, self._now_ms())


class _Reading:
    """One stream being read to its end."""

    def __init__(self, reader: StreamReader, timer: "_Timer", notes: Notes, show: Show | None) -> None:
        self._reader, self._timer, self._notes, self._show = reader, timer, notes, show
        self.parser, self.assembler = EventParser(), Assembler()

    async def all_of(self, response: Incoming) -> None:
        """Read to the end of the body, so that the connection can be used again."""
        size = 0
        try:
            while piece := await self._next(response):
                size += len(piece)
                _refuse_endless(size)
                self._take(self.parser.feed(piece))
        except EventTooLong:
            raise failed(FailureKind.UNAVAILABLE, "An event does not end.", code="event_too_long") from None
        if not self.assembler.finished:
            self._take(self.parser.end())

    async def _next(self, response: Incoming) -> bytes:
        """The next piece. Once the answer is complete, a stream that breaks or stalls has merely ended."""
        if not self.assembler.finished:
            return await response.read()
        try:
            async with asyncio.timeout(BODY_END_GRACE_S if self._reader.ended else TERMINATOR_GRACE_S):
                return await response.read()
        except (TransportFailed, TimeoutError):
            return b""

    def _take(self, events: Iterable[ServerSentEvent]) -> None:
        for event in events:
            for chunk in self._reader.read(event):
                content = chat.has_content(chunk)
                if content:
                    self._note_content()
                self.assembler.add(chunk)
                if self._show is not None:
                    self._show(chunk, content)

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


def _refuse_endless(size: int) -> None:
    if size > MAX_ANSWER_BYTES:
        raise failed(FailureKind.UNAVAILABLE, "The answer does not end.", code="answer_too_large")
