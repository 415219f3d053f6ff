"""A dead worker fleet looks like a dead vendor (R7): its calls are bounced, so that they fall back or wait.

Judged by Kafka's own description of the worker group, never by heartbeats elsewhere.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Final

from allweather.contracts import headers, topics
from allweather.contracts.failures import FailureKind
from allweather.contracts.records import AttemptResult, Dispatch, EventType, MalformedRecord, decode, encode
from allweather.messaging import (
    Broker,
    GroupState,
    Message,
    Middleware,
    OrderedConsumer,
    Outputs,
    PermanentError,
    Record,
    TransientError,
)
from allweather.router import outbox
from allweather.router.health import HealthBoard
from allweather.runtime.clock import Clock

log = logging.getLogger(__name__)

STAND_IN: Final = "stand-in"
"""How the client ids of stand-ins begin: they do not count as workers."""
ABSENT_S: Final = 5.0
"""How long a group may be empty before its records are bounced: a worker that has just been started needs a moment.
Kafka has noticed the absence only after the session timeout, which is most of the thirty seconds that this may take."""
_LOOK_EVERY_S: Final = 1.0

OpenBroker = Callable[[], AbstractAsyncContextManager[Broker]]
Wrap = Callable[[str], Sequence[Middleware]]


def worker_group(vendor: str) -> str:
    """The consumer group of a vendor's worker fleet."""
    return f"provider-worker.{vendor}"


def has_worker(group: GroupState) -> bool:
    """Whether a member of the group is a worker and not a stand-in."""
    return any(not member.client_id.startswith(STAND_IN) for member in group.members)


class Fleet:
    """Watches the worker groups of all vendors, and stands in for those that have been empty for too long."""

    def __init__(
        self,
        vendors: Iterable[str],
        broker: Broker,
        open_stand_in: OpenBroker,
        wrap: Wrap,
        board: HealthBoard,
        clock: Clock,
    ) -> None:
        self._vendors = tuple(vendors)
        self._broker = broker
        self._open_stand_in = open_stand_in
        self._wrap = wrap
        self._board = board
        self._clock = clock
        self._absent_since: dict[str, float] = {}
        self._stand_ins: dict[str, StandIn] = {}

    async def run(self, stopping: asyncio.Event) -> None:
        """Watch until told to stop; then leave every group that was joined."""
        try:
            while not stopping.is_set():
                await self.look()
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), _LOOK_EVERY_S)
        finally:
            await asyncio.gather(*(stand_in.leave() for stand_in in self._stand_ins.values()))

    async def look(self) -> None:
        """Ask Kafka once who works for each vendor, and stand in or leave accordingly."""
        for vendor in self._vendors:
            try:
                present = has_worker(await self._broker.describe_group(worker_group(vendor)))
            except TransientError as error:
                log.debug("cannot tell whether %s has workers: %s", vendor, error)
                continue
            await (self._welcome(vendor) if present else self._miss(vendor))
        self._board.lost_vendors = frozenset(self._absent_since)  # nothing more is sent where nobody is

    async def _welcome(self, vendor: str) -> None:
        self._absent_since.pop(vendor, None)
        stand_in = self._stand_ins.pop(vendor, None)
        if stand_in is not None:
            log.info("a worker of %s is back", vendor)
            await stand_in.leave()

    async def _miss(self, vendor: str) -> None:
        since = self._absent_since.setdefault(vendor, self._clock.monotonic())
        stand_in = self._stand_ins.get(vendor)
        if stand_in is not None:
            stand_in.check()
        elif self._clock.monotonic() - since >= ABSENT_S:
            log.warning("no worker of %s: its calls are bounced", vendor)
            self._stand_ins[vendor] = StandIn(vendor, self._open_stand_in, self._wrap, self._clock)


class StandIn:
    """A member of a worker group that calls nobody: it bounces each dispatch as `worker_lost`."""

    def __init__(self, vendor: str, open_broker: OpenBroker, wrap: Wrap, clock: Clock) -> None:
        self._vendor = vendor
        self._open_broker = open_broker
        self._wrap = wrap
        self._clock = clock
        self._leaving = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=f"stand-in {vendor}")

    async def leave(self) -> None:
        """Leave the group, with what was bounced committed."""
        self._leaving.set()
        await self._task

    def check(self) -> None:
        """Raise what ended it, if something has."""
        if self._task.done():
            self._task.result()

    async def bounce(self, batch: Sequence[Record]) -> Outputs:
        """Give every dispatch back to the router."""
        now_ms = self._clock.now_ms()
        return Outputs([bounced(record, self._vendor, now_ms) for record in batch])

    async def _run(self) -> None:
        group = worker_group(self._vendor)
        async with self._open_broker() as broker:
            consumer = OrderedConsumer(
                broker,
                self.bounce,
                group=group,
                topics=[topics.dispatch(self._vendor)],
                middleware=self._wrap(group),
            )
            await consumer.run(self._leaving)


def bounced(record: Record, vendor: str, now_ms: int) -> Message:
    """The result of a dispatch that no worker was there to take. Raises `PermanentError`."""
    try:
        envelope = decode(record.value)
        call, slip = envelope.read(Dispatch), envelope.read_slip()
    except MalformedRecord as error:
        raise PermanentError(str(error)) from error
    result = AttemptResult(
        attempt_id=call.attempt_id,
        n=call.n,
        deployment=call.deployment,
        episode=call.episode,
        dispatched_at_ms=call.dispatched_at_ms,
        failure=FailureKind.WORKER_LOST,
        message=f"No worker of {vendor} is running.",
        started_at_ms=now_ms,
        ended_at_ms=now_ms,
    )
    return outbox.event(
        topics.RESULTS,
        EventType.ATTEMPTED,
        slip.request_id,
        slip.tenant,
        f"lost-{call.n}",
        encode(envelope.slip, result, envelope.body),
        at_ms=now_ms,
        cause=record.text(headers.CE_ID) or "",
    )
