"""One HTTP exchange with a vendor as its bytes come: whole, in pieces, broken off, or an error of any kind."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from simulator.chance import Chance

from allweather.contracts.failures import FailureKind
from allweather.provider_worker.adapters.http import Incoming, TransportFailed
from allweather.provider_worker.wire import HttpRequest

BROKEN: Final = "the connection broke"


@dataclass(frozen=True, slots=True)
class Script:
    """A response: its status, and its body piece by piece, each after some time."""

    status: int
    pieces: tuple[tuple[float, bytes], ...]
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    cut: bool = False
    """Whether the connection breaks where the body should end."""


class Wire:
    """The `Transport` of one call."""

    def __init__(self, answer: Callable[[bool], Awaitable[Script]]) -> None:
        self._answer = answer

    def send(self, request: HttpRequest) -> AbstractAsyncContextManager[Incoming]:
        return _Exchange(self._answer, stream=b'"stream":true' in request.body)


class _Exchange:
    def __init__(self, answer: Callable[[bool], Awaitable[Script]], *, stream: bool) -> None:
        self._answer, self._stream = answer, stream

    async def __aenter__(self) -> Incoming:
        try:
            return _Incoming(await self._answer(self._stream))
        except OSError as error:
            raise TransportFailed(BROKEN) from error

    async def __aexit__(self, *_: object) -> None:
        """Nothing is held."""


class _Incoming:
    def __init__(self, script: Script) -> None:
        self.status, self.headers = script.status, script.headers
        self._pieces: Iterator[tuple[float, bytes]] = iter(script.pieces)
        self._cut = script.cut

    async def read(self) -> bytes:
        pause, piece = next(self._pieces, (0.0, b""))
        if pause:
            await asyncio.sleep(pause)
        if not piece and self._cut:
            raise TransportFailed(BROKEN)
        return piece


def whole(text: str, finish: str, *, cut: bool) -> Script:
    """An answer in one piece."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": _USAGE}
    return Script(200, ((0.0, _json(body)[: 9 if cut else None]),), {"content-type": "application/json"}, cut=cut)


def streamed(text: str, finish: str, chance: Chance, *, cut: bool) -> Script:
    """An answer word by word; one that is cut ends somewhere between two of them."""
    words = text.split(" ")
    events = [_chunk({"content": word if n == 0 else f" {word}"}) for n, word in enumerate(words)]
    events = [_chunk({"role": "assistant"}), *events, _chunk({}, finish), _event({"choices": [], "usage": _USAGE})]
    if cut:
        events = events[: chance.number(len(words) + 1)]
    else:
        events.append(b"data: [DONE]\n\n")
    pieces = tuple((_pause(chance), event) for event in events)
    return Script(200, pieces, {"content-type": "text/event-stream"}, cut=cut)


def failing(kind: FailureKind | None, chance: Chance) -> Script:
    """An error that the translator reads as this kind."""
    assert kind is not None
    status, code = ERRORS[kind]
    headers = {"content-type": "application/json"}
    if kind is FailureKind.RATE_LIMITED:
        headers["retry-after-ms"] = str(round(chance.between(500, 30_000)))
    error = {"error": {"message": f"simulated: {kind}", "type": "simulated", "code": code}}
    return Script(status, ((0.0, _json(error)),), headers)


ERRORS: Final[Mapping[FailureKind, tuple[int, str | None]]] = {
    FailureKind.UNAVAILABLE: (503, "server_is_overloaded"),
    FailureKind.RATE_LIMITED: (429, "rate_limit_exceeded"),
    FailureKind.QUOTA_EXHAUSTED: (429, "insufficient_quota"),
    FailureKind.AUTH_FAILED: (401, "invalid_api_key"),
    FailureKind.TOO_LONG: (400, "context_length_exceeded"),
    FailureKind.REFUSED: (400, "content_filter"),
    FailureKind.INVALID: (400, None),
    FailureKind.MISCONFIGURED: (404, "model_not_found"),
}
_USAGE: Final = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def _pause(chance: Chance) -> float:
    """Mostly words follow each other closely; sometimes a model thinks."""
    point = chance.fraction()
    return 4 * point if point > 0.9 else 0.05 * point


def _chunk(delta: Mapping[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return _event({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]})


def _event(payload: Mapping[str, Any]) -> bytes:
    return b"data: " + _json(payload) + b"\n\n"


def _json(value: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(value)
