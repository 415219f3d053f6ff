"""What tests of consumers need: waiting for a state, running and crashing a consumer, a handler that remembers."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from allweather.messaging.consumers.concurrent import ConcurrentConsumer
from allweather.messaging.consumers.ordered import OrderedConsumer
from allweather.messaging.consumers.work import Pace
from allweather.messaging.tasks import cancel
from allweather.messaging.types import Message, Outputs, Record

QUICK = Pace(commit_interval=0.02, rejoin_after=0.05, stop_grace=5.0)


async def eventually(state: Callable[[], bool] | Callable[[], Awaitable[bool]], within: float = 20.0) -> None:
    """Return when `state` holds; fail when it does not within some seconds."""
    deadline = time.monotonic() + within
    while True:
        held = state()
        if held if isinstance(held, bool) else await held:
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {state}")
        await asyncio.sleep(0.01)


Runs = OrderedConsumer | ConcurrentConsumer


@asynccontextmanager
async def running(consumer: Runs) -> AsyncGenerator[asyncio.Task[None]]:
    """The consumer at work; at the end of the block it is stopped gracefully. Its failure is the test's."""
    stopping = asyncio.Event()
    task = asyncio.create_task(consumer.run(stopping))
    try:
        yield task
        if not task.cancelled():
            stopping.set()
            await task
    finally:
        await cancel(task)


async def crash(task: asyncio.Task[None]) -> None:
    """End a consumer where it stands: nothing in hand is finished, nothing is committed."""
    await cancel(task)


class Seen:
    """A handler that remembers what it was given and copies it to another topic."""

    def __init__(self, target: str | None = None) -> None:
        self.records: list[Record] = []
        self._target = target

    async def batch(self, records: Sequence[Record]) -> Outputs:
        self.records.extend(records)
        return Outputs([Message(self._target, record.value, record.key) for record in records if self._target])

    async def record(self, record: Record) -> Outputs:
        return await self.batch([record])

    @property
    def values(self) -> list[bytes | None]:
        return [record.value for record in self.records]
