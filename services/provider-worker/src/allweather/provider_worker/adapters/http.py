"""HTTP to vendors, behind one method."""

import asyncio
import os
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import lru_cache
from typing import Final, Protocol

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError, StreamWriter
from yarl import URL

from allweather.provider_worker.wire import HttpRequest

KEEP_ALIVE_S = 15.0
"""Shorter than the servers' own, so that a connection is not reused in the moment in which the server closes it."""

IN_ONE_WRITE = 1 << 20
"""A larger body is written piece by piece, so that it does not hold up the other calls."""
PIECE = 1 << 16
ADDRESSES = 256
"""Whose requests are kept half made; a worker has as many as deployments, times a few paths."""
HEADERS: Final = {"content-type": "application/json", "accept-encoding": "identity", "user-agent": "allweather"}
SWITCHING = 101
"""Nobody has asked for another protocol: the last that is to be understood of that connection."""

_BROKEN: Final = (aiohttp.ClientError, HttpProcessingError, OSError)
"""What aiohttp says of a connection that is of no use, or of what came over it."""


class TransportFailed(Exception):
    """The vendor could not be reached, or the connection broke. The text names the kind, never an address or header."""


class Incoming(Protocol):
    """A response whose body is still arriving."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Looked up by names in lower case."""
        ...

    async def read(self) -> bytes:
        """The next piece of the body, empty at its end. Raises `TransportFailed` when it breaks off before."""
        ...


class Transport(Protocol):
    def send(self, request: HttpRequest) -> AbstractAsyncContextManager[Incoming]:
        """Send `request` and wait for the response's head; leaving the block ends the exchange.

        Nothing is retried, redirected or decompressed. Raises `TransportFailed`.
        """
        ...


class AiohttpTransport:
    """The real thing, over pooled connections. Slots bound the number of calls, so the pool does not.

    Connections, writer and parser are aiohttp's. Its session is not used: it gets ready for all that a request can be,
    which costs more than the rest of the exchange.
    """

    def __init__(self, pool: aiohttp.BaseConnector, connect_s: float) -> None:
        self._pool = pool
        self._timeout = aiohttp.ClientTimeout(connect=connect_s, sock_connect=connect_s)
        self._addressed = lru_cache(maxsize=ADDRESSES)(_addressed)

    def send(self, request: HttpRequest) -> AbstractAsyncContextManager[Incoming]:
        return _Exchange(request, self._addressed, self._connected)

    async def _connected(self, addressed: aiohttp.ClientRequest) -> Connection:
        return await self._pool.connect(addressed, [], self._timeout)


def _addressed(url: str) -> aiohttp.ClientRequest:
    """What all requests to `url` have in common. Raises `ClientError` for what is no address."""
    try:
        address = URL(url)
    except ValueError as error:
        raise aiohttp.InvalidUrlClientError(url) from error
    if address.scheme not in ("http", "https"):
        raise aiohttp.NonHttpUrlClientError(url)
    return aiohttp.ClientRequest("POST", address, headers=HEADERS, loop=asyncio.get_running_loop())


class _Exchange:
    """One request and its response. A class, since a generator would cost more than the rest of it."""

    def __init__(
        self,
        request: HttpRequest,
        addressed: Callable[[str], aiohttp.ClientRequest],
        connected: Callable[[aiohttp.ClientRequest], Awaitable[Connection]],
    ) -> None:
        self._request, self._addressed, self._connected = request, addressed, connected
        self._connection: Connection | None = None
        self._writing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Incoming:
        try:
            addressed = self._addressed(self._request.url)
            self._connection = await self._connected(addressed)
            return await self._response(self._connection, addressed)
        except BaseException as error:
            self._close()
            if isinstance(error, _BROKEN):
                raise TransportFailed(_kind(error)) from error
            raise

    async def __aexit__(self, *_: object) -> None:
        self._close()  # where the body was read to its end, the connection is in the pool already

    async def _response(self, connection: Connection, addressed: aiohttp.ClientRequest) -> Incoming:
        protocol = connection.protocol
        assert protocol is not None, "it is ours until it is given back"
        protocol.set_response_params(read_until_eof=True, auto_decompress=False)
        await self._send(protocol, addressed)
        head, content = await protocol.read()
        while 100 <= head.code < 200 and head.code != SWITCHING:
            head, content = await protocol.read()
        content.on_eof(self._ended)
        return _Incoming(head.code, head.headers, content)

    async def _send(self, protocol: ResponseHandler, addressed: aiohttp.ClientRequest) -> None:
        body, headers = self._request.body, addressed.headers.copy()
        headers.update(self._request.headers)
        headers["Content-Length"] = str(len(body))
        writer = StreamWriter(protocol, asyncio.get_running_loop())
        await writer.write_headers(f"POST {addressed.url.raw_path_qs} HTTP/1.1", headers)
        if len(body) < IN_ONE_WRITE:
            await writer.write(body, drain=False)
        else:  # in a task, since a vendor may answer before it has read all of it
            self._writing = asyncio.create_task(_written(writer, body), name="write-body")

    def _ended(self) -> None:
        """The response has come to its end: the next call may have the connection, if all was sent."""
        if self._connection is not None and (self._writing is None or self._writing.done()):
            self._connection.release()

    def _close(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
        if self._connection is not None:
            self._connection.close()


async def _written(writer: StreamWriter, body: bytes) -> None:
    """Write `body` piece by piece. A connection that breaks meanwhile is noticed by whoever reads from it."""
    with suppress(*_BROKEN):
        for at in range(0, len(body), PIECE):
            await writer.write(body[at : at + PIECE])


class _Incoming:
    def __init__(self, status: int, headers: Mapping[str, str], content: aiohttp.StreamReader) -> None:
        self.status, self.headers, self._content = status, headers, content

    async def read(self) -> bytes:
        try:
            return await self._content.readany()
        except _BROKEN as error:
            raise TransportFailed(_kind(error)) from error


@asynccontextmanager
async def transport(connect_s: float) -> AsyncGenerator[AiohttpTransport]:
    """A transport that gives up on a connection after `connect_s`; all other limits are the call's own."""
    async with aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S) as pool:
        yield AiohttpTransport(pool, connect_s)


def _kind(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no connection in time"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLError):
        return "the certificate is not valid"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no connection ({_reason(error.os_error)})"
    kind = aiohttp.ClientResponseError if isinstance(error, HttpProcessingError) else type(error)
    return f"the connection broke ({kind.__name__})"


def _reason(error: OSError) -> str:
    """What the system says; the error's own text may hold the address."""
    number = error.errno or 0
    return os.strerror(number) if number > 0 else type(error).__name__
