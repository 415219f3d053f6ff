"""A client that is made when it is needed, and made anew after it has failed."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from allweather.messaging.kafka.client import ClientError
from allweather.messaging.kafka.settings import CALL_TIMEOUT
from allweather.messaging.tasks import cancel, heard

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
        self._starting: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[Any]] = set()

    async def get(self) -> C:
        """The client, started. Waits for the brokers without end: give it a time limit.

        Of all who wait, one tries: the brokers are busy enough. It is a task of its own, because to end a start takes
        seconds, which a caller whose time is over does not have; and the next to ask may find it done.
        """
        while (client := self._client) is None:
            if self._starting is None or self._starting.done():
                self._starting = asyncio.create_task(self._start())
                self._starting.add_done_callback(heard)
            await asyncio.shield(self._starting)
        return client

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
        if self._starting is not None:
            await cancel(self._starting)
        client, self._client = self._client, None
        if client is not None:
            await client.close()
        await asyncio.gather(*self._ending, return_exceptions=True)

    async def _start(self) -> None:
        while self._client is None:
            client = self._make()
            try:
                async with asyncio.timeout(CALL_TIMEOUT):
                    await client.start()
            except ClientError as error:
                log.info("%s could not be started: %r", type(client).__name__, error)
                await asyncio.sleep(_PAUSE)
            else:
                self._client = client
