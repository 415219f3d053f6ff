"""What happens to records, step by step; a crash between any two steps delivers them again."""

import asyncio
import logging
from collections.abc import Iterable, Sequence

from allweather.failpoints import Failpoints, Point
from allweather.messaging.consumers.work import Points
from allweather.messaging.delivery import Delivery
from allweather.messaging.errors import TransientError
from allweather.messaging.lanes import check_size
from allweather.messaging.metrics import Metrics
from allweather.messaging.ports import Broker
from allweather.messaging.types import AfterAck, BatchHandler, Message, Middleware, Outputs, Record

log = logging.getLogger(__name__)


class Steps:
    """Handle; publish and have it acknowledged; tidy up."""

    def __init__(
        self,
        broker: Broker,
        handler: BatchHandler,
        middleware: Sequence[Middleware],
        *,
        group: str,
        metrics: Metrics,
        failpoints: Failpoints,
        points: Points,
    ) -> None:
        self._handler = _sized(handler)
        for wrap in reversed(middleware):
            self._handler = wrap(self._handler)
        self._delivery = Delivery(broker, metrics, group=group)
        self._group, self._metrics = group, metrics
        self._failpoints, self._points = failpoints, points

    @property
    def early_commit(self) -> bool:
        """Whether a test has switched off the guard that holds commits back until the outputs are acknowledged."""
        return self._failpoints.skips("messaging.commit-after-ack")

    async def handle(self, records: Sequence[Record]) -> Outputs:
        self._metrics.count("messaging.records", len(records), group=self._group)
        return await self._handler(records)

    async def publish(self, messages: Sequence[Message]) -> None:
        """Return when every message is acknowledged."""
        await self._reach(self._points.before_publish)
        await (self._observed(messages) if self._failpoints else self._delivery.send(messages))
        await self._reach(self._points.after_publish)

    async def _observed(self, messages: Sequence[Message]) -> None:
        """Send, with the failpoint that lies between the sending and its acknowledgement."""
        sending = asyncio.create_task(self._delivery.send(messages))
        await asyncio.sleep(0)  # lets the client take the messages
        await self._reach(self._points.before_ack)
        await sending

    async def tidy(self, calls: Iterable[AfterAck | None]) -> None:
        """A dependency that is away must not hold up what is acknowledged already; a bug may."""
        for call in calls:
            try:
                if call is not None:
                    await call()
            except TransientError as error:
                log.warning("group %s: after_ack failed: %s", self._group, error)
                self._metrics.count("messaging.after_ack.failures", group=self._group)

    async def _reach(self, point: Point | None) -> None:
        if point is not None:
            await self._failpoints.pause(point)


def _sized(handler: BatchHandler) -> BatchHandler:
    """An output too large for its topic is its record's fault, and is found before anything is sent."""

    async def handle(records: Sequence[Record]) -> Outputs:
        outputs = await handler(records)
        for message in outputs.messages:
            check_size(message)
        return outputs

    return handle
