"""A client that is made when it is needed, and made anew after it has failed."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from allweather.messaging.kafka.client import ClientError

log = logging.getLogger(__name__)

_PAUSE = 0.2


class Client(Protocol):
    async def start(self) -> None: ...

    async def close(self) -> None:
        """End in good order, within some seconds."""
        ...

    async def discard(self) -> None:
        """End at once."""
        ...


C = TypeVar("C", bound=Client)


class Renewable(Generic[C]):
    """The one client of its kind. Whoever sees it fail discards it; the next to ask gets another."""

    def __init__(self, make: Callable[[], C]) -> None:
        self._make = make
        self._client: C | None = None
        self._starting = asyncio.Lock()
        self._ending: set[asyncio.Task[Any]] = set()

    async def get(self) -> C:
        """The client, started. Waits for the brokers without end: give it a time limit."""
        while True:
            async with self._starting:
                if self._client is not None:
                    return self._client
                client = self._make()
                try:
                    await client.start()
                except ClientError as error:
                    log.info("%s could not be started: %r", type(client).__name__, error)
                else:
                    self._client = client
                    return client
                await asyncio.sleep(_PAUSE)  # of all who wait here, one tries: the brokers are busy enough

    def discard(self, client: C) -> bool:
        """End this client. False when somebody has done so before."""
        if client is not self._client:
            return False
        self._client = None
        task = asyncio.create_task(client.discard())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        return True

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()
        await asyncio.gather(*self._ending, return_exceptions=True)
