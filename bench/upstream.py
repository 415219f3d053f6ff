"""A vendor that costs nothing: a fixed answer at once, as JSON or as a stream of 20 events.

A process of its own (`python -m bench.upstream`), which prints its port. It speaks just enough HTTP and Chat
Completions for the worker and the load generator; it is no simulator, so that only the system is measured.
"""

import asyncio
import json
import sys
from typing import Any, Final, cast

import uvloop

TEXT: Final = "All engines are running. "
EVENTS: Final = 20
_ID: Final = "chatcmpl-bench"
_USAGE: Final = {"prompt_tokens": 150, "completion_tokens": 18, "total_tokens": 168}
_STREAMED: Final = b'"stream":true'
_LENGTH: Final = b"content-length:"


def answer() -> bytes:
    """The plain response, head and body."""
    message = {"role": "assistant", "content": TEXT * 18}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = _json({"object": "chat.completion", "choices": [choice], "usage": _USAGE})
    return _head(b"application/json", b"content-length: %d" % len(body)) + body


def stream() -> bytes:
    """The streamed response: 18 events with content, the end, the usage, and the terminator."""
    deltas = [{"index": 0, "delta": {"role": "assistant", "content": TEXT}, "finish_reason": None}] * (EVENTS - 2)
    end: dict[str, Any] = {"index": 0, "delta": {}, "finish_reason": "stop"}
    chunks: list[dict[str, Any]] = [{"choices": [delta]} for delta in (*deltas, end)]
    chunks.append({"choices": [], "usage": _USAGE})
    events = [b"data: %b\n\n" % _json({"object": "chat.completion.chunk", **chunk}) for chunk in chunks]
    pieces = (b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*events, b"data: [DONE]\n\n", b""))
    return _head(b"text/event-stream", b"transfer-encoding: chunked") + b"".join(pieces)


def _json(content: dict[str, Any]) -> bytes:
    shared = {"id": _ID, "created": 1_700_000_000, "model": "bench"}
    return json.dumps(shared | content, separators=(",", ":")).encode()


def _head(content_type: bytes, framing: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\n%b\r\n\r\n" % (content_type, framing)


class Upstream(asyncio.Protocol):
    """One connection; requests on it follow one another."""

    _answer: Final = answer()
    _stream: Final = stream()

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's own class, which does not derive from it

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if found and len(body) >= _content_length(head):
            self._received = b""
            assert self._transport is not None
            self._transport.write(self._stream if _STREAMED in body else self._answer)


def _content_length(head: bytes) -> int:
    _, _, rest = head.lower().partition(_LENGTH)
    return int(rest.partition(b"\r\n")[0])


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve())
