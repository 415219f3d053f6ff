"""A TCP proxy in front of a server, with which its connections are cut, slowed, frozen and refused."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

_CHUNK: Final = 64 * 1024


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

    def cut(self) -> int:
        """Reset every connection; returns how many there were. New ones are taken."""
        writers = list(self._writers)
        for writer in writers:
            writer.transport.abort()
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

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it."""
        if self._refusing:
            writer.transport.abort()
            return
        try:
            away, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, back}
        self._writers |= both
        try:
            await asyncio.gather(self._pass(reader, back), self._pass(away, writer))
        finally:
            self._writers -= both
            for each in both:
                each.transport.abort()

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await source.read(_CHUNK):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                await self._open.wait()
                sink.write(piece)
                await sink.drain()
            sink.write_eof()


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
        link.thaw()
        link.cut()
