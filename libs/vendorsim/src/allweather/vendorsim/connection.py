"""The side of a connection that ASGI hides: closing it without an answer, and listening on ports that can be shut."""

import asyncio
import socket
import struct
import time
from collections.abc import Awaitable, Callable, MutableMapping
from email.utils import formatdate
from typing import Any, cast

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Sender = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Sender], Awaitable[None]]

_EXTENSION = "allweather.transport"
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time to linger: closing sends a reset."""


class Connection(HttpToolsProtocol):
    """uvicorn's HTTP connection, which also hands its transport to the application."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {_EXTENSION: cast("Any", self.transport)}

    @property
    def port(self) -> int | None:
        return self.server[1] if self.server else None


def transport_of(scope: MutableMapping[str, Any]) -> asyncio.Transport:
    return scope["extensions"][_EXTENSION]


def shut(transport: asyncio.Transport, *, reset: bool) -> None:
    """Close a connection: what was written goes out first, unless it is a reset."""
    if not reset:
        transport.close()
        return
    channel = transport.get_extra_info("socket")
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()


class Listeners:
    """The ports of the program. Each can be closed, so that connecting is refused, and opened again."""

    def __init__(self, application: Application, host: str) -> None:
        self._config = Config(
            cast("Any", application),
            interface="asgi3",
            proxy_headers=False,
            http=Connection,
            ws="none",
            lifespan="off",
            access_log=False,
            log_level="warning",
            timeout_keep_alive=75,
            server_header=False,
        )
        self._config.load()
        self._host = host
        self._state = ServerState()
        self._open: dict[int, asyncio.Server] = {}
        self._clock: asyncio.Task[None] | None = None

    def is_open(self, port: int) -> bool:
        return port in self._open

    async def open(self, port: int) -> int:
        """Listen at `port` (0 picks one) and return the port.

        Raises OSError when it is taken.
        """
        self._clock = self._clock or asyncio.create_task(self._tell_the_date())
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._connected, self._host, port, backlog=2048)
        bound = int(server.sockets[0].getsockname()[1])
        self._open[bound] = server
        return bound

    def close(self, port: int) -> None:
        """Refuse connections at `port`, and drop those that are open, as if the host had gone."""
        self._open.pop(port).close()
        for connection in cast("list[Connection]", list(self._state.connections)):
            if connection.port == port:
                shut(connection.transport, reset=True)

    async def stop(self) -> None:
        """Close everything; calls in flight see their client leave, and end."""
        for port in list(self._open):
            self.close(port)
        if self._state.tasks:
            await asyncio.wait(self._state.tasks, timeout=2)
        if self._clock is not None:
            self._clock.cancel()

    def _connected(self) -> Connection:
        return Connection(self._config, self._state, {})

    async def _tell_the_date(self) -> None:
        while True:
            self._state.default_headers = [(b"date", formatdate(time.time(), usegmt=True).encode())]
            await asyncio.sleep(1)
