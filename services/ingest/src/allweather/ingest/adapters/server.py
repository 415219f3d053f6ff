"""The HTTP server: uvicorn without its own signals and logs, and with a limit on the head of a request."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_LIMIT: Final = 64 << 10
"""Bytes of a request's line and headers together."""
HEADERS_LIMIT: Final = 100
HEAD_TIMEOUT_S: Final = 30.0
GATHERED_LIMIT: Final = 16 << 10
"""Bytes that are passed on at once, so that a slow reader is noticed by whoever writes on and on."""


class Gathering(asyncio.Transport):
    """Passes on in one piece what is written within one turn of the loop: each piece costs a system call.

    The head of a response and its body come as two, and so do events that came together.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._gathered: list[Any] = []
        self._size = 0

    def write(self, data: Any) -> None:
        if not self._gathered:
            self._loop.call_soon(self._pass_on)
        self._gathered.append(data)
        self._size += len(data)
        if self._size >= GATHERED_LIMIT:
            self._pass_on()

    def _pass_on(self) -> None:
        if self._gathered:
            whole = b"".join(self._gathered)
            self._gathered, self._size = [], 0
            self._transport.write(whole)

    def close(self) -> None:
        self._pass_on()
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()


class BoundedHead(HttpToolsProtocol):
    """Ends a connection whose request head does not end within the limits: the parser itself would wait for any length.

    Between two requests of a connection the server's own keep-alive limit holds.
    """

    _head = 0
    _in_head = True
    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(Gathering(transport, self.loop))
        self._patience = self.loop.call_later(HEAD_TIMEOUT_S, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_patience()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head += len(data)
        super().data_received(data)
        if self._in_head and self._head > HEAD_LIMIT and not self.transport.is_closing():
            self.send_400_response("Request head too large.")

    def on_headers_complete(self) -> None:
        if len(self.headers) > HEADERS_LIMIT:
            raise ValueError("more headers than any client sends")  # the parser makes a 400 of it
        self._in_head = False
        self._cancel_patience()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head, self._head = True, 0
        super().on_message_complete()

    def _cancel_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()


class _Server(uvicorn.Server):
    """Signals are the service's business."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: Any = None) -> None:
        """Raise when the address is taken, instead of leaving the process without a word."""
        try:
            await super().startup(sockets)
        except SystemExit:
            raise OSError(f"cannot listen on {self.config.host}:{self.config.port}") from None

    @property
    def port(self) -> int:
        return self.servers[0].sockets[0].getsockname()[1]


@asynccontextmanager
async def serving(app: ASGIApp, host: str, port: int, *, grace_s: float) -> AsyncGenerator[int]:
    """Serve `app` while the block runs; yields the port. At its end open calls may finish for `grace_s` seconds."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=BoundedHead,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=int(grace_s),
        backlog=4096,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(), name="http-server")
    try:
        yield await _listening(server, task)
    finally:
        server.should_exit = True
        await asyncio.wait({task})
    task.result()


async def _listening(server: _Server, task: asyncio.Task[None]) -> int:
    while not server.started:
        if task.done():
            task.result()
            raise OSError("the HTTP server did not start")
        await asyncio.sleep(0.01)
    return server.port
