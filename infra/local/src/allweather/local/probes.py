"""Readiness, asked in each server's own protocol. A probe is a URL, so that it can be written down and asked again."""

import asyncio
import struct
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs, urlsplit

import asyncpg

PATIENCE = 2.0


async def ready(url: str) -> bool:
    """Whether the program behind `url` can serve now; what is not there (yet) is simply not ready."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await _PROBES[urlsplit(url).scheme](url)
    except (OSError, EOFError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False


async def _http(url: str) -> bool:
    host, port = _address(url)
    request = f"GET {urlsplit(url).path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    status = await _exchange(host, port, request.encode(), lambda answer: answer.readuntil(b"\r\n"))
    return status.split()[1:2] == [b"200"]


async def _redis(url: str) -> bool:
    answer = await _exchange(*_address(url), b"PING\r\n", lambda answer: answer.readuntil(b"\r\n"))
    return answer == b"+PONG\r\n"


async def _postgres(url: str) -> bool:
    connection = await asyncpg.connect(url, ssl=False)
    await connection.close()
    return True


async def _kafka(url: str) -> bool:
    """Ready when the broker knows as many live brokers as `?brokers=` asks for: only then can topics be placed."""
    wanted = int(parse_qs(urlsplit(url).query).get("brokers", ["1"])[0])
    answer = await _exchange(*_address(url), _METADATA_REQUEST, _frame)
    return _live_brokers(answer) >= wanted


# Metadata, version 1, for no topic: api key, version, correlation id, client id, empty array; behind its length.
_METADATA_REQUEST = struct.pack(">ihhih5si", 19, 3, 1, 0, 5, b"probe", 0)


def _live_brokers(metadata: bytes) -> int:
    """The length of the broker array, which follows the correlation id."""
    return struct.unpack_from(">i", metadata, 4)[0]


async def _frame(answer: asyncio.StreamReader) -> bytes:
    (size,) = struct.unpack(">i", await answer.readexactly(4))
    return await answer.readexactly(size)


async def _exchange(
    host: str, port: int, request: bytes, read: Callable[[asyncio.StreamReader], Awaitable[bytes]]
) -> bytes:
    answer, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(request)
        return await read(answer)
    finally:
        writer.close()


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    if not parts.hostname or not parts.port:
        raise ValueError(f"a probe needs a host and a port: {url}")
    return parts.hostname, parts.port


_PROBES: dict[str, Callable[[str], Awaitable[bool]]] = {
    "http": _http,
    "kafka": _kafka,
    "postgresql": _postgres,
    "redis": _redis,
}
