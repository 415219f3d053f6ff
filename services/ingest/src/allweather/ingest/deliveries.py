"""Replies and deltas on their way from Kafka to the callers that wait here."""

import asyncio
import logging
from collections.abc import AsyncIterable, Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final
from uuid import UUID

from allweather.contracts import headers, topics
from allweather.contracts.records import EventType
from allweather.ingest import deltas, replies
from allweather.ingest.replies import Reply
from allweather.ingest.waiters import WaitingRoom
from allweather.messaging import Record
from allweather.runtime.postgres import DependencyAway

log = logging.getLogger(__name__)

LOOK_S: Final = 1.0
"""How often open waiters are looked up, so that a reply that went astray is found."""


class Deliveries:
    """Hands on what is for somebody here; at a shared partition most is not."""

    def __init__(self, room: WaitingRoom) -> None:
        self._room = room

    async def follow(self, tail: AsyncIterable[Sequence[Record]]) -> None:
        """Deliver batch after batch, until cancelled."""
        async for batch in tail:
            self.deliver(batch)

    def deliver(self, batch: Sequence[Record]) -> None:
        """Hand on the records of a batch."""
        for record in batch:
            if record.topic == topics.DELTAS:
                self._delta(record)
            else:
                self._reply(record)

    def _delta(self, record: Record) -> None:
        streaming = [waiter for waiter in self._room.at(record.key) if waiter.wants_deltas]
        delta = deltas.read(record) if streaming else None
        if delta is not None:
            for waiter in streaming:
                waiter.give(delta)

    def _reply(self, record: Record) -> None:
        waiting = self._room.at(record.key)
        if record.text(headers.CE_TYPE) == EventType.CONFLICTED:
            own = record.header(headers.CORRELATION_ID)
            waiting = [waiter for waiter in waiting if waiter.correlation == own]
        reply = replies.of_record(record) if waiting else None
        if reply is not None:
            for waiter in waiting:
                waiter.give(reply)

    async def look_up(
        self, outcomes: Callable[[Collection[UUID]], Awaitable[Mapping[UUID, Reply]]], every: float = LOOK_S
    ) -> None:
        """Look up whoever has waited longer, again and again, until cancelled. One query each time."""
        while True:
            await asyncio.sleep(every)
            overdue = self._room.older_than(every)
            if overdue:
                try:
                    self._found(await outcomes(overdue))
                except DependencyAway:
                    log.debug("outcomes cannot be looked up")

    def _found(self, outcomes: Mapping[UUID, Reply]) -> None:
        for request_id, reply in outcomes.items():
            for waiter in self._room.at(str(request_id).encode()):
                waiter.give(reply)
