"""A client of Redis that is as small as its use here: one connection, and whatever comes up goes out together.

The common client library costs each process 25 MB and half a second at its start, and several times the processor time
for each command.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple, Protocol, cast
from urllib.parse import unquote, urlsplit

from allweather.runtime.resp import Answer, Answers, Command, NotResp, Refusal, encode

_UNUSABLE: Final = frozenset(
    {"READONLY", "OOM", "MISCONF", "LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOAUTH", "WRONGPASS"}
)
"""Codes that say something about the server, not about our command."""


class RedisUnusable(ConnectionError):
    """Redis answers, but cannot do its work now."""


class RedisRefused(Exception):
    """The command is wrong, which is a mistake of ours."""


class Line(Protocol):
    """A connection to Redis."""

    @property
    def broken(self) -> bool:
        """Whether a new one is needed."""
        ...

    async def exchange(self, commands: Sequence[Command]) -> list[Answer]:
        """The answers to `commands`, in their order. Raises OSError when the connection breaks."""
        ...

    def drop(self) -> None:
        """Close at once, whatever is under way."""
        ...


Dial = Callable[[], Awaitable[Line]]
"""Makes a connection. Raises OSError when it cannot."""


class _Asked(NamedTuple):
    commands: Sequence[Command]
    answers: "asyncio.Future[list[Answer]]"


class RedisClient:
    """Commands to one Redis, carried out in the order in which they are asked.

    What is asked while an exchange is under way goes with the next one, so that a busy process needs few exchanges.
    The connection is made when it is needed first, and made anew after it broke.
    """

    def __init__(self, dial: Dial, *, timeout_s: float) -> None:
        self._dial, self._timeout_s = dial, timeout_s
        self._line: Line | None = None
        self._queue: list[_Asked] = []
        self._exchanging: asyncio.Task[None] | None = None
        self._due: asyncio.TimerHandle | None = None

    def ask(self, commands: Sequence[Command], *, within_s: float = 0.0) -> "asyncio.Future[list[Answer]]":
        """The answers, once they are here. Fails with OSError where Redis is of no use, else with `RedisRefused`.

        What may wait `within_s` seconds goes with what comes up meanwhile.
        """
        loop = asyncio.get_running_loop()
        asked = _Asked(commands, loop.create_future())
        self._queue.append(asked)
        if not within_s:
            self.hurry()
        elif self._due is None:
            self._due = loop.call_later(within_s, self.hurry)
        return asked.answers

    def hurry(self) -> None:
        """Send at once what waits."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        if self._queue and self._exchanging is None:
            self._exchanging = asyncio.create_task(self._exchange_all(), name="redis")

    async def close(self) -> None:
        """Give up what is under way, and the connection."""
        if self._due is not None:
            self._due.cancel()
        if self._exchanging is not None:
            self._exchanging.cancel()
            await asyncio.gather(self._exchanging, return_exceptions=True)
        _fail(self._queue, ConnectionAbortedError("closed"))
        self._drop()

    async def _exchange_all(self) -> None:
        try:
            while self._queue:
                batch, self._queue = self._queue, []
                await self._exchange(batch)
        finally:
            self._exchanging = None

    async def _exchange(self, batch: Sequence[_Asked]) -> None:
        commands = [command for asked in batch for command in asked.commands]
        try:
            async with asyncio.timeout(self._timeout_s):
                answers = await (await self._connected()).exchange(commands)
        except OSError as error:
            self._drop()
            _fail(batch, error)
        except asyncio.CancelledError:
            _fail(batch, ConnectionAbortedError("closed"))
            raise
        else:
            _deal(batch, answers)

    async def _connected(self) -> Line:
        if self._line is None or self._line.broken:
            self._line = await self._dial()
        return self._line

    def _drop(self) -> None:
        if self._line is not None:
            self._line.drop()
            self._line = None


def _deal(batch: Sequence[_Asked], answers: Sequence[Answer]) -> None:
    """Give each its own answers, or the first refusal among them."""
    at = 0
    for commands, future in batch:
        own, at = list(answers[at : at + len(commands)]), at + len(commands)
        if future.done():  # whoever asked has been cancelled
            continue
        refusal = next((answer for answer in own if isinstance(answer, Refusal)), None)
        if refusal is None:
            future.set_result(own)
        else:
            future.set_exception(_error(refusal))


def _fail(batch: Sequence[_Asked], error: OSError) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)


def _error(refusal: Refusal) -> Exception:
    return RedisUnusable(refusal.code) if refusal.code in _UNUSABLE else RedisRefused(refusal)


class _TcpLine(asyncio.Protocol):
    """One connection; one exchange at a time."""

    def __init__(self) -> None:
        self.broken = False
        self._transport: asyncio.Transport | None = None
        self._incoming = Answers()
        self._answers: list[Answer] = []
        self._expected = 0
        self._complete: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._answers.extend(self._incoming.feed(data))
        except NotResp as error:
            self._conclude(error)
            self.drop()
        if len(self._answers) >= self._expected:
            self._conclude(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.broken = True
        self._conclude(ConnectionResetError(f"Redis has closed the connection ({type(exc).__name__})"))

    async def exchange(self, commands: Sequence[Command]) -> list[Answer]:
        if self._transport is None or self.broken:
            raise ConnectionResetError("the connection is closed")
        self._answers, self._expected = [], len(commands)
        self._complete = asyncio.get_running_loop().create_future()
        self._transport.write(encode(commands))
        await self._complete
        return self._answers

    def drop(self) -> None:
        self.broken = True
        if self._transport is not None:
            self._transport.abort()

    def _conclude(self, error: Exception | None) -> None:
        if self._complete is None or self._complete.done():
            return
        if error is None:
            self._complete.set_result(None)
        else:
            self._complete.set_exception(error)


def dialling(url: str) -> Dial:
    """Connections to the Redis at `redis://[[user]:password@]host[:port][/database]`; `rediss://` is over TLS."""
    parts = urlsplit(url)
    secure = ssl.create_default_context() if parts.scheme == "rediss" else None
    greeting = list(_greeting(parts.username, parts.password, parts.path.strip("/")))

    async def dial() -> Line:
        loop = asyncio.get_running_loop()
        host, port = parts.hostname or "localhost", parts.port or 6379
        _, line = await loop.create_connection(_TcpLine, host, port, ssl=secure)
        refusals = (
            [answer for answer in await line.exchange(greeting) if isinstance(answer, Refusal)] if greeting else []
        )
        if refusals:
            line.drop()
            raise RedisUnusable(refusals[0].code)
        return line

    return dial


def _greeting(user: str | None, password: str | None, database: str) -> "list[Command]":
    """What a connection says first: who we are, and which database is meant."""
    names = [unquote(user)] if user else []
    commands: list[Command] = []
    if password:
        commands.append(("AUTH", *names, unquote(password)))
    if database not in {"", "0"}:
        commands.append(("SELECT", database))
    return commands
