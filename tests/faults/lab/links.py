"""A TCP proxy in front of a server, with which its connections are cut, slowed, frozen and refused."""

import asyncio
import socket
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

_CHUNK: Final = 64 * 1024
_AT_ONCE: Final = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class Link:
    """What lies between the services and one server. Everything passes until something is done to it."""

    name: str
    port: int
    target: int
    delay_s: float = 0.0
    """Added to each piece in each direction."""
    _refusing: bool = False
    _open: asyncio.Event = field(default_factory=asyncio.Event)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])
    _serving: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    def cut(self) -> int:
        """Reset every connection; returns how many there were. New ones are taken."""
        writers = list(self._writers)
        for writer in writers:
            _reset(writer)
        return len(writers) // 2

    def freeze(self) -> None:
        """From now on nothing arrives, and no connection is closed: as when a network swallows packets."""
        self._open.clear()

    def thaw(self) -> None:
        """What was swallowed arrives now."""
        self._open.set()

    def refuse(self) -> None:
        """Cut everything, and whatever comes until `accept`."""
        self._refusing = True
        self.cut()

    def accept(self) -> None:
        """Take connections again."""
        self._refusing = False

    async def close(self) -> None:
        """End every connection, and return when all are gone."""
        self._refusing = True
        self.thaw()
        self.cut()
        await asyncio.gather(*self._serving)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it."""
        serving = asyncio.current_task()
        assert serving is not None
        self._serving.add(serving)
        try:
            await self._serve(reader, writer)
        finally:
            self._serving.discard(serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            _reset(writer)
            return
        try:
            away, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            _reset(writer)
            return
        both = {writer, back}
        self._writers |= both
        try:
            with suppress(OSError):  # a reset on one side is one on the other, too
                await asyncio.gather(self._pass(reader, back), self._pass(away, writer))
        finally:
            self._writers -= both
            for each in both:
                each.transport.abort()

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while piece := await source.read(_CHUNK):
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            await self._open.wait()
            sink.write(piece)
            await sink.drain()
        sink.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with a reset, not in order."""
    if not writer.transport.is_closing():
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    writer.transport.abort()


@asynccontextmanager
async def linked(name: str, port: int, target: int) -> AsyncGenerator[Link]:
    """A link that listens on `port` and leads to `target`, both on loopback."""
    link = Link(name, port, target)
    link.thaw()
    server = await asyncio.start_server(link.serve, "127.0.0.1", port)
    try:
        yield link
    finally:
        server.close()
        await link.close()
