"""The little of ASGI that the door needs: headers, a bounded body, a response in two messages."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterable
from contextlib import suppress
from typing import Final

from starlette.types import Message, Receive, Scope, Send

from allweather.contracts.json_text import syntax_fault
from allweather.contracts.slip import Dialect
from allweather.ingest import refusals

BODY_LIMIT: Final = 32 << 20
BODY_TIMEOUT_S: Final = 60.0
DISCARD_S: Final = 5.0
VALUE_LIMIT: Final = 512
"""Bytes of one header that is passed on."""

JSON: Final = "application/json"

Headers = list[tuple[str, str]]


class CallerGone(Exception):
    """The caller closed the connection before its request was complete."""


class Incoming:
    """The headers of a request; names are in lower case."""

    __slots__ = ("_headers", "_repeated")

    def __init__(self, scope: Scope) -> None:
        given: list[tuple[bytes, bytes]] = scope["headers"]
        self._headers = dict(given)
        self._repeated = _repeated(given) if len(self._headers) < len(given) else frozenset[bytes]()

    def __contains__(self, name: bytes) -> bool:
        return name in self._headers

    def get(self, name: bytes) -> bytes | None:
        """The value of a header. Raises `Refused` when it is there twice: two readers could choose differently."""
        if name in self._repeated:
            raise refusals.invalid("duplicate_header", f"The header '{name.decode()}' is there more than once.")
        return self._headers.get(name)

    def only(self, name: bytes) -> bytes | None:
        """The value of a header, None when it is not there exactly once."""
        return None if name in self._repeated else self._headers.get(name)

    def short(self, name: bytes) -> bytes | None:
        """A header that is passed on. Raises `Refused` when it is too long for that."""
        value = self.get(name)
        if value is not None and len(value) > VALUE_LIMIT:
            raise refusals.invalid("invalid_header", f"The header '{name.decode()}' is over {VALUE_LIMIT} bytes.")
        return value


def _repeated(given: list[tuple[bytes, bytes]]) -> frozenset[bytes]:
    counts = Counter(name for name, _ in given)
    return frozenset(name for name, count in counts.items() if count > 1)


async def read_body(incoming: Incoming, receive: Receive, limit: int = BODY_LIMIT) -> bytes:
    """The whole body. Raises `Refused` as soon as it is known to be too large or compressed."""
    encoding = incoming.get(b"content-encoding")
    if encoding not in {None, b"identity"}:
        raise refusals.unsupported_encoding((encoding or b"")[:40].decode("ascii", "replace"))
    declared = incoming.get(b"content-length") or b"0"
    if declared.isdigit() and int(declared) > limit:
        raise await _too_large(receive, limit)
    message = await receive()
    if not message.get("more_body"):
        return _part(message)
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await _rest(receive, bytearray(_part(message)), limit)
    except TimeoutError:
        raise refusals.too_slow(BODY_TIMEOUT_S) from None


async def _too_large(receive: Receive, limit: int) -> refusals.Refused:
    """Read on for a moment and keep nothing: a caller that is still sending would see a reset, not our answer."""
    with suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_S):
            while (message := await receive()).get("more_body"):
                _part(message)
    return refusals.too_large(limit)


async def _rest(receive: Receive, body: bytearray, limit: int) -> bytes:
    more = True
    while more:
        message = await receive()
        body += _part(message)
        more = message.get("more_body", False)
        if len(body) > limit:
            raise await _too_large(receive, limit)
    return bytes(body)


async def pieces(receive: Receive) -> AsyncGenerator[bytes]:
    """The body piece by piece, for those that keep none of it in memory. Raises `Refused` when it trickles in."""
    more = True
    while more:
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                message = await receive()
        except TimeoutError:
            raise refusals.too_slow(BODY_TIMEOUT_S) from None
        yield _part(message)
        more = message.get("more_body", False)


def _part(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise CallerGone
    part: bytes = message.get("body", b"")
    return part


def not_json(error: Exception, body: bytes) -> refusals.Refused:
    """400 for a body that is no JSON, naming the line and column."""
    if not body:
        return refusals.invalid("empty_body", "The request has no body: expected a JSON object.")
    return refusals.invalid("invalid_json", syntax_fault(error, body))


async def respond(
    send: Send, status: int, body: bytes, headers: Iterable[tuple[str, str]], *, close: bool = False
) -> None:
    """Send a whole JSON response."""
    told = [("content-type", JSON), ("content-length", str(len(body))), *headers]
    await begin(send, status, [*told, ("connection", "close")] if close else told)
    await send({"type": "http.response.body", "body": body})


async def begin(send: Send, status: int, headers: Headers) -> None:
    """Send the status and the headers."""
    raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": raw})


def naming(request_id: str, dialect: Dialect) -> Headers:
    """The headers that tell a caller the id to quote; each vendor's SDK looks for its own."""
    ours = [("x-request-id", request_id)]
    return [*ours, ("request-id", request_id)] if dialect is Dialect.ANTHROPIC_MESSAGES else ours


async def refuse(send: Send, refused: refusals.Refused, request_id: str, dialect: Dialect) -> None:
    """Send a refusal in the error envelope of the dialect."""
    headers = [*naming(request_id, dialect), *refused.headers]
    await respond(send, refused.error.status, refused.body(dialect, request_id), headers, close=refused.close)
