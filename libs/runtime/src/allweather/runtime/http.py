"""The few lines of HTTP/1.1 that probes need: GET or HEAD, one request a connection, small and bounded."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus

MAX_HEAD = 8192
READ_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Request:
    """A request without a body; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Response:
    status: HTTPStatus
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"


class BadRequest(Exception):
    """The client did not speak HTTP as it is understood here."""

    def __init__(self, status: HTTPStatus) -> None:
        self.status = status


Answer = Callable[[Request], Awaitable[Response]]


@asynccontextmanager
async def serve(answer: Answer, host: str, port: int) -> AsyncGenerator[int]:
    """Answer requests on `host:port` while the block runs; yields the port that was bound."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError, asyncio.IncompleteReadError):
            writer.write(await _exchange(reader, answer))
            await asyncio.wait_for(writer.drain(), READ_TIMEOUT_S)
        writer.close()

    async with await asyncio.start_server(talk, host, port, limit=MAX_HEAD) as server:
        yield server.sockets[0].getsockname()[1]


async def _exchange(reader: asyncio.StreamReader, answer: Answer) -> bytes:
    try:
        request = await asyncio.wait_for(_read(reader), READ_TIMEOUT_S)
    except BadRequest as bad:
        return _encoded(Response(bad.status), with_body=True)
    return _encoded(await answer(request), with_body=request.method != "HEAD")


async def _read(reader: asyncio.StreamReader) -> Request:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise BadRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE) from None
    request_line, *lines = head.decode("latin-1").split("\r\n")[:-2]
    match request_line.split(" "):
        case [("GET" | "HEAD") as method, target, ("HTTP/1.1" | "HTTP/1.0")]:
            headers = (line.partition(":") for line in lines)
            return Request(
                method, target.partition("?")[0], {name.lower(): value.strip() for name, _, value in headers}
            )
        case [_, _, ("HTTP/1.1" | "HTTP/1.0")]:
            raise BadRequest(HTTPStatus.METHOD_NOT_ALLOWED)
        case _:
            raise BadRequest(HTTPStatus.BAD_REQUEST)


def _encoded(response: Response, *, with_body: bool) -> bytes:
    head = (
        f"HTTP/1.1 {response.status.value} {response.status.phrase}\r\n"
        f"Content-Type: {response.content_type}\r\n"
        f"Content-Length: {len(response.body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + (response.body if with_body else b"")
