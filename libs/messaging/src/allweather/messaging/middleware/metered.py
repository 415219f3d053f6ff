"""Count what a handler is given and how long it takes."""

import time
from collections.abc import Sequence

from allweather.messaging.metrics import Metrics
from allweather.messaging.types import BatchHandler, Middleware, Outputs, Record


def metered(*, group: str, metrics: Metrics) -> Middleware:
    """Observe the size and the duration of every batch, failed ones with the class of their error."""

    def wrap(handler: BatchHandler) -> BatchHandler:
        async def handle(records: Sequence[Record]) -> Outputs:
            started, error_type = time.perf_counter(), ""
            try:
                return await handler(records)
            except Exception as error:
                error_type = type(error).__name__
                raise
            finally:
                seconds = time.perf_counter() - started
                metrics.observe("messaging.handle.seconds", seconds, group=group, error=error_type)
                metrics.observe("messaging.batch.records", len(records), group=group)

        return handle

    return wrap
