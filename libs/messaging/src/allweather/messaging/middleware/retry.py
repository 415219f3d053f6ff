"""Wait for a dependency that is away, and try again."""

import asyncio
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass

from allweather.messaging.errors import TransientError
from allweather.messaging.metrics import Metrics, NoMetrics
from allweather.messaging.progress import note_progress
from allweather.messaging.types import BatchHandler, Middleware, Outputs, Record

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Full jitter: a random wait up to a bound that doubles with every attempt."""

    base: float = 0.1
    cap: float = 5.0

    def bound(self, attempt: int) -> float:
        """The longest wait before attempt `attempt` + 1, counted from 0."""
        return min(self.cap, self.base * 2.0 ** min(attempt, 32))

    def delay(self, attempt: int) -> float:
        return random.uniform(0, self.bound(attempt))  # noqa: S311 - spreads load, guards no secret


def retry(*, group: str, backoff: Backoff | None = None, metrics: Metrics | None = None) -> Middleware:
    """Repeat a batch for as long as it raises `TransientError`; any other error passes.

    The wait is known to be right, so it counts as progress; the group's membership goes on meanwhile.
    """
    waits, numbers = backoff or Backoff(), metrics or NoMetrics()

    def wrap(handler: BatchHandler) -> BatchHandler:
        async def handle(records: Sequence[Record]) -> Outputs:
            attempt = 0
            while True:
                try:
                    return await handler(records)
                except TransientError as error:
                    log.warning("group %s waits: %s: %s", group, type(error).__name__, error)
                numbers.count("messaging.retries", group=group)
                note_progress()
                await asyncio.sleep(waits.delay(attempt))
                attempt += 1

        return handle

    return wrap
