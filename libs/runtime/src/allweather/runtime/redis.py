"""Redis for efficiency: a call never fails and never waits long. Without Redis it answers `AWAY`, at once.

    counts = await redis.call(lambda r: r.hgetall(key))
    if counts is AWAY:
        counts = last_known

Correctness may never depend on an answer: what is kept here can be lost at any time.
"""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from enum import Enum
from typing import Any, Final, TypeVar

from pydantic import SecretStr
from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from allweather.runtime.clock import Clock, SystemClock

log = logging.getLogger(__name__)

T = TypeVar("T")


class Away(Enum):
    """What a call returns instead of its answer while Redis cannot be used."""

    AWAY = "away"


AWAY: Final = Away.AWAY

_UNUSABLE = (
    OSError,
    TimeoutError,
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ReadOnlyError,
    exceptions.OutOfMemoryError,
    exceptions.TryAgainError,
)


class RedisGuard:
    """Redis behind a small breaker: after a failure it is left alone for `rest_s`, then one call may try again."""

    client: Redis
    """The bare client, for what may fail (preparing a script, a test); calls go through the guard."""

    def __init__(
        self,
        client: Redis,
        *,
        rest_s: float = 0.5,
        clock: Clock | None = None,
        on_away: Callable[[], None] = lambda: None,
    ) -> None:
        self.client = client
        self._rest_s = rest_s
        self._clock = clock or SystemClock()
        self._on_away = on_away
        self._closed_until = 0.0
        self._away = False

    @property
    def away(self) -> bool:
        """Whether the last call found Redis unusable."""
        return self._away

    async def call(self, command: "Callable[[Redis], Awaitable[T]]") -> T | Away:
        """The answer of one command, or AWAY. Errors that are ours (wrong type, bad script) are raised."""
        if not self._admitted():
            self._on_away()
            return AWAY
        try:
            answer = await command(self.client)
        except _UNUSABLE as error:
            self._failed(error)
            return AWAY
        self._answered()
        return answer

    async def pipeline(self, fill: "Callable[[Pipeline], object]") -> list[Any] | Away:
        """The answers of the commands that `fill` queues, in one round trip and not as a transaction, or AWAY."""

        async def run(client: Redis) -> list[Any]:
            async with client.pipeline(transaction=False) as pipe:
                fill(pipe)
                return await pipe.execute()

        return await self.call(run)

    async def ping(self) -> None:
        """Raise unless Redis answers."""
        await self.client.ping()  # pyright: ignore[reportUnknownMemberType] - redis leaves **kwargs untyped

    def _admitted(self) -> bool:
        """Whether this call may try; while Redis is away one call in each `rest_s` does."""
        if not self._away:
            return True
        now = self._clock.monotonic()
        if now < self._closed_until:
            return False
        self._closed_until = now + self._rest_s
        return True

    def _failed(self, error: Exception) -> None:
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
    connections: int = 32,
    on_away: Callable[[], None] = lambda: None,
) -> AsyncGenerator[RedisGuard]:
    """A guard around the Redis at `url`, closed with the block. Opening it never fails for want of Redis."""
    pool = BlockingConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType] - redis leaves **kwargs untyped
        url.get_secret_value(),
        max_connections=connections,
        timeout=timeout_s,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
    )
    async with Redis(connection_pool=pool) as client:
        yield RedisGuard(client, on_away=on_away)
    await pool.aclose()
