"""Work that comes round again and again beside the consumer."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

from allweather.messaging import TransientError
from allweather.runtime.heartbeat import Heartbeat

log = logging.getLogger(__name__)

Turn = Callable[[], Awaitable[bool]]
"""One turn; says whether there may be more to do at once."""

_SOON_S = 0.05


async def turning(turn: Turn, stopping: asyncio.Event, *, every_s: float, beat: Heartbeat, name: str) -> None:
    """Take a turn every `every_s` seconds, give or take half, until told to stop; soon again while there is more to do.

    The jitter keeps replicas from waking together. A dependency that is away is waited for.
    """
    while not stopping.is_set():
        try:
            more = await turn()
        except TransientError as error:
            log.warning("%s waits: %s", name, error)
            more = False
        beat.beat()
        pause = _SOON_S if more else every_s * random.uniform(0.5, 1.5)  # noqa: S311 - spreads load, guards no secret
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), pause)
