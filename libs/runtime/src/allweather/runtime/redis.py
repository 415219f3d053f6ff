"""Redis for efficiency: a call never fails and never waits long. Without Redis it answers `AWAY`, at once.

    count = await redis.call("INCR", key)
    if count is AWAY:
        count = last_known

Correctness may never depend on an answer: what is kept here can be lost at any time.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from enum import Enum
from typing import Any, Final

from pydantic import SecretStr

from allweather.runtime.clock import Clock, SystemClock
from allweather.runtime.redis_client import Command, RedisClient, dialling

log = logging.getLogger(__name__)


class Away(Enum):
    """What a call returns instead of its answer while Redis cannot be used."""

    AWAY = "away"


AWAY: Final = Away.AWAY
POST_WITHIN_S: Final = 0.05
"""What nobody waits for may leave so late: under load it goes with the next command, and costs no exchange."""


class RedisGuard:
    """Redis behind a small breaker: after a failure it is left alone for `rest_s`, then one call may try again."""

    def __init__(
        self,
        client: RedisClient,
        *,
        rest_s: float = 0.5,
        clock: Clock | None = None,
        on_away: Callable[[], None] = lambda: None,
    ) -> None:
        self._client = client
        self._rest_s = rest_s
        self._clock = clock or SystemClock()
        self._on_away = on_away
        self._closed_until = 0.0
        self._away = False
        self._posted: set[asyncio.Future[list[Any]]] = set()

    @property
    def away(self) -> bool:
        """Whether the last call found Redis unusable."""
        return self._away

    async def call(self, *command: str | bytes | int) -> Any:
        """The answer to one command (bytes, int, list or None), or AWAY. Raises `RedisRefused` for a wrong command."""
        answers = await self.pipeline(command)
        return AWAY if answers is AWAY else answers[0]

    async def pipeline(self, *commands: Command) -> list[Any] | Away:
        """The answers to commands that travel together, though not as a transaction, or AWAY."""
        if not self._admitted():
            self._on_away()
            return AWAY
        try:
            answers = await self._client.ask(commands)
        except OSError as error:
            self._failed(error)
            return AWAY
        self._answered()
        return answers

    def post(self, *command: str | bytes | int) -> None:
        """Send one command after those before it, with the next ones or soon, and let its answer go."""
        if not self._admitted():
            self._on_away()
            return
        posted = self._client.ask((command,), within_s=POST_WITHIN_S)
        self._posted.add(posted)
        posted.add_done_callback(self._arrived)

    async def flushed(self) -> None:
        """Return when what was posted has arrived, or is lost."""
        self._client.hurry()
        if self._posted:
            await asyncio.wait(self._posted)

    async def ping(self) -> None:
        """Raise unless Redis answers."""
        await self._client.ask((("PING",),))

    def _arrived(self, posted: "asyncio.Future[list[Any]]") -> None:
        self._posted.discard(posted)
        error = posted.exception()
        if error is None:
            self._answered()
        elif isinstance(error, OSError):
            self._failed(error)
        else:
            raise error

    def _admitted(self) -> bool:
        """Whether this call may try; while Redis is away one call in each `rest_s` does."""
        if not self._away:
            return True
        now = self._clock.monotonic()
        if now < self._closed_until:
            return False
        self._closed_until = now + self._rest_s
        return True

    def _failed(self, error: OSError) -> None:
        if not self._away:
            log.warning("redis is away", extra={"error": type(error).__name__})
        self._away = True
        self._closed_until = self._clock.monotonic() + self._rest_s
        self._on_away()

    def _answered(self) -> None:
        if self._away:
            log.info("redis is back")
        self._away = False


@asynccontextmanager
async def guarded_redis(
    url: SecretStr,
    *,
    timeout_s: float = 0.25,
    rest_s: float = 0.5,
    clock: Clock | None = None,
    on_away: Callable[[], None] = lambda: None,
) -> AsyncGenerator[RedisGuard]:
    """A guard around the Redis at `url`, closed with the block. Opening it never fails for want of Redis."""
    client = RedisClient(dialling(url.get_secret_value()), timeout_s=timeout_s)
    try:
        yield RedisGuard(client, rest_s=rest_s, clock=clock, on_away=on_away)
    finally:
        await client.close()
