"""HTTP between callers and doors: connections to the ASGI application of a process, which break when it dies."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from simulator.loop import Process, State
from simulator.net import KERNEL, Net
from starlette.types import ASGIApp, Message

LATENCY_S: Final = 0.001


@dataclass
class Exchange:
    """One request over one connection, and what has come back until now."""

    path: str
    headers: dict[str, str]
    body: bytes
    status: int = 0
    received: bytes = b""
    whole: bool = False
    """Whether the response has come to its end: then nobody can take it for a broken one."""
    broken: bool = False
    _inbox: list[Message] = field(default_factory=list[Message])
    _arrived: "asyncio.Future[None] | None" = None
    _changed: "asyncio.Future[None] | None" = None

    @property
    def over(self) -> bool:
        return self.whole or self.broken

    async def end(self, net: Net) -> None:
        """Return when the response is complete, or the connection has broken."""
        while not self.over:
            self._changed = net.loop.create_future()
            await self._changed

    def hang_up(self) -> None:
        """The caller closes the connection."""
        self.broken = True
        self._give({"type": "http.disconnect"})
        self._change()

    def cut(self) -> None:
        """The other side is gone."""
        if not self.whole:
            self.broken = True
            self._change()

    @property
    def scope(self) -> dict[str, Any]:
        raw = [(name.encode(), value.encode()) for name, value in self.headers.items()]
        path = {"path": self.path, "raw_path": self.path.encode(), "root_path": "", "query_string": b""}
        return {"type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "headers": raw, **path}

    def ask(self) -> None:
        self._give({"type": "http.request", "body": self.body, "more_body": False})

    async def receive(self) -> Message:
        while not self._inbox:
            self._arrived = asyncio.get_running_loop().create_future()
            await self._arrived
        return self._inbox.pop(0)

    async def send(self, message: Message) -> None:
        if self.broken:
            return
        if message["type"] == "http.response.start":
            self.status = message["status"]
            return
        self.received += message.get("body", b"")
        self.whole = not message.get("more_body", False)
        if self.whole:
            self._change()

    def _give(self, message: Message) -> None:
        self._inbox.append(message)
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    def _change(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)


class Front:
    """Which doors are open, and who is at them."""

    def __init__(self, net: Net) -> None:
        self._net = net
        self._doors: dict[str, tuple[Process, ASGIApp]] = {}
        self._exchanges: list[tuple[Process, Exchange]] = []

    def opens(self, slot: str, process: Process, app: ASGIApp) -> Callable[[], None]:
        """The door of `slot` takes requests from now on, until the function that is returned is called."""
        self._doors[slot] = process, app
        return lambda: self._close(slot, process)

    def ask(self, slot: str, exchange: Exchange) -> bool:
        """Send a request to a door; False when nobody listens there."""
        process, app = self._doors.get(slot, (None, None))
        if process is None or app is None or process.state is State.DEAD:
            return False
        self._exchanges.append((process, exchange))
        self._net.later(LATENCY_S, self._arrive, process, app, exchange)
        return True

    def lost(self, process: Process) -> None:
        """The process is dead: its connections break."""
        for _, exchange in [each for each in self._exchanges if each[0] is process]:
            self._net.later(LATENCY_S, exchange.cut)
        self._exchanges = [each for each in self._exchanges if each[0] is not process and not each[1].over]

    def _arrive(self, process: Process, app: ASGIApp, exchange: Exchange) -> None:
        if process.state is State.DEAD:
            exchange.cut()
            return
        exchange.ask()
        serving = process.spawn(_served(app, exchange))
        serving.add_done_callback(lambda _: exchange.cut(), context=KERNEL)

    def _close(self, slot: str, process: Process) -> None:
        if self._doors.get(slot, (None,))[0] is process:
            del self._doors[slot]


async def _served(app: ASGIApp, exchange: Exchange) -> None:
    await app(exchange.scope, exchange.receive, exchange.send)
