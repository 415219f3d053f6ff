"""HTTP to vendors, behind one method."""

import io
import os
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import aiohttp

from allweather.provider_worker.wire import HttpRequest

KEEP_ALIVE_S = 15.0
"""Shorter than the servers' own, so that a connection is not reused in the moment in which the server closes it."""

IN_ONE_WRITE = 1 << 20
"""A larger body is written piece by piece, so that it does not hold up the other calls."""


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
    """The real thing, over pooled connections. Slots bound the number of calls, so the pool does not."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    def send(self, request: HttpRequest) -> AbstractAsyncContextManager[Incoming]:
        return _Exchange(self._session, request)


class _Exchange:
    """One request and its response. A class, since a generator would cost more than the rest of it."""

    def __init__(self, session: aiohttp.ClientSession, request: HttpRequest) -> None:
        self._session, self._request = session, request
        self._response: aiohttp.ClientResponse | None = None

    async def __aenter__(self) -> Incoming:
        request = self._request
        body = request.body if len(request.body) < IN_ONE_WRITE else io.BytesIO(request.body)
        try:
            self._response = await self._session.post(
                request.url, data=body, headers=request.headers, allow_redirects=False
            )
        except (aiohttp.ClientError, OSError) as error:
            raise TransportFailed(_kind(error)) from error
        return _Incoming(self._response)

    async def __aexit__(self, *_: object) -> None:
        if self._response is not None:
            self._response.close()  # where the body was read to its end, the connection is in the pool already


class _Incoming:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._content = response.content
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    async def read(self) -> bytes:
        try:
            return await self._content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise TransportFailed(_kind(error)) from error


@asynccontextmanager
async def transport(connect_s: float) -> AsyncGenerator[AiohttpTransport]:
    """A transport that gives up on a connection after `connect_s`; all other limits are the call's own."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(connect=connect_s, sock_connect=connect_s),
        headers={"content-type": "application/json", "accept-encoding": "identity", "user-agent": "allweather"},
        auto_decompress=False,
        trust_env=False,
    ) as session:
        yield AiohttpTransport(session)


def _kind(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no connection in time"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLError):
        return "the certificate is not valid"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no connection ({_reason(error.os_error)})"
    return f"the connection broke ({type(error).__name__})"


def _reason(error: OSError) -> str:
    """What the system says; the error's own text may hold the address."""
    number = error.errno or 0
    return os.strerror(number) if number > 0 else type(error).__name__
