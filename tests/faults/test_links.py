"""The proxy passes everything, until something is done to it."""

import asyncio
import socket
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import pytest
from lab.links import Link, linked

from allweather.local.ports import Ports


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(1024):
            writer.write(piece)
            await writer.drain()
    writer.close()


@pytest.fixture
async def link() -> AsyncGenerator[Link]:
    """In front of a server that says back what it hears."""
    ports = Ports(0)
    target, front = ports.of("valkey"), ports.of("http")
    server = await asyncio.start_server(_echo, "127.0.0.1", target)
    async with linked("echo", front, target) as made:
        yield made
    server.close()


@asynccontextmanager
async def connected(link: Link) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def said_back(link: Link, text: bytes) -> bytes:
    async with connected(link) as (reader, writer):
        writer.write(text)
        writer.write_eof()
        return await reader.read()


async def test_what_is_sent_arrives_and_comes_back_in_order(link: Link) -> None:
    text = bytes(range(256)) * 4096

    assert await said_back(link, text) == text


async def test_a_cut_ends_every_connection_and_takes_new_ones(link: Link) -> None:
    async with connected(link) as (reader, writer):
        writer.write(b"x")
        assert await reader.read(1) == b"x"

        assert link.cut() == 1

        with pytest.raises(ConnectionError):
            await reader.readexactly(1)
    assert await said_back(link, b"again") == b"again"


async def test_nothing_passes_a_frozen_link_until_it_thaws_and_nothing_is_lost(link: Link) -> None:
    async with connected(link) as (reader, writer):
        link.freeze()
        writer.write(b"held")
        answer = asyncio.ensure_future(reader.readexactly(4))
        assert await asyncio.wait([answer], timeout=0.2) == (set(), {answer})

        link.thaw()

        assert await answer == b"held"


async def test_a_link_that_refuses_ends_whatever_comes(link: Link) -> None:
    link.refuse()
    with pytest.raises(ConnectionError):
        await said_back(link, b"closed")

    link.accept()

    assert await said_back(link, b"open") == b"open"


async def test_without_its_server_a_link_refuses(link: Link) -> None:
    link.target = Ports(0).of("postgres")

    with pytest.raises(ConnectionError):
        await said_back(link, b"closed")


async def test_a_client_that_dies_is_gone_for_the_server_too() -> None:
    ended = asyncio.Event()

    async def waiting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.read()
        ended.set()
        writer.close()

    ports = Ports(0)
    target, front = ports.of("postgres"), ports.of("http")
    async with (
        await asyncio.start_server(waiting, "127.0.0.1", target),
        linked("silent", front, target) as silent,
        connected(silent) as (_, writer),
    ):
        writer.write(b"x")
        await writer.drain()
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

        async with asyncio.timeout(10):
            await ended.wait()
