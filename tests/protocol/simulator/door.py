"""The HTTP door as a process: see `ingest.app`."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import msgspec
from simulator.front import Front
from simulator.loop import Process
from simulator.postgres import Postgres
from simulator.settings import KEY, SECRET, TENANT
from simulator.tables import Tables

from allweather.contracts import topics
from allweather.contracts.config import Configuration
from allweather.contracts.ids import DoorAddress
from allweather.failpoints import Failpoints
from allweather.ingest.acceptance import Acceptance
from allweather.ingest.adapters.conflicts import RedisConflicts
from allweather.ingest.adapters.library import Library
from allweather.ingest.adapters.publishing import Coalesced
from allweather.ingest.adapters.views import ParkingLimits, RouterViews, watch_parking
from allweather.ingest.app import LAST_ANSWERS_S
from allweather.ingest.deliveries import Deliveries
from allweather.ingest.doors.streamed import Patience
from allweather.ingest.keys import Keyring
from allweather.ingest.replies import Reply, of_row
from allweather.ingest.routes import House, doors
from allweather.ingest.testing import MemoryResponses, NoPostgres
from allweather.ingest.waiters import WaitingRoom
from allweather.messaging import Broker, TailConsumer, TopicPartition, TransientError
from allweather.messaging.tasks import cancel
from allweather.router.steps import OUTCOME_POSITION
from allweather.runtime.clock import Clock
from allweather.runtime.payloads import MemoryPayloads
from allweather.runtime.postgres import DependencyAway
from allweather.runtime.probes import Probes
from allweather.runtime.redis import RedisGuard

ACCEPT_TIMEOUT_S: Final = 5.0
GOODBYE_S: Final = 2.0
_KEYS: Final = msgspec.json.encode({"keys": [{"key": KEY, "tenant": TENANT}]})


class SimViews(RouterViews):
    """The router's views: see `ingest.adapters.views`."""

    def __init__(self, postgres: Postgres, tables: Tables) -> None:
        self._simulated, self._tables = postgres, tables

    async def outcomes(self, requests: Collection[UUID]) -> Mapping[UUID, Reply]:
        steps = self._tables.steps
        rows = await self._query(
            lambda: {r: steps[r, OUTCOME_POSITION] for r in requests if (r, OUTCOME_POSITION) in steps}
        )
        return {request: of_row(row.decision.decode(), row.reply or b"") for request, row in rows.items()}

    async def parked(self) -> Mapping[str, tuple[int, int]]:
        rows = await self._query(lambda: list(self._tables.parked.values()))
        return {TENANT: (len(rows), sum(row.bytes for row in rows))} if rows else {}

    async def _query(self, find: Any) -> Any:
        try:
            return await self._simulated.query(find)
        except TransientError as error:
            raise DependencyAway("postgres") from error


@dataclass(frozen=True)
class SimDoor:
    """One life of one replica of the door."""

    configuration: Configuration
    views: SimViews
    redis: RedisGuard
    payloads: MemoryPayloads
    broker: Broker
    address: DoorAddress
    clock: Clock
    failpoints: Failpoints

    async def serve(self, slot: str, front: Front, process: Process, stopping: asyncio.Event) -> None:
        """Serve until told to stop; callers that are there then have a little time to get their answers."""
        limits = ParkingLimits(self.configuration, process.time)
        acceptance = self._acceptance(limits)
        room = acceptance.room
        deliveries = Deliveries(room)
        here = [TopicPartition(topic, self.address.partition) for topic in (topics.DOOR, topics.DELTAS)]
        async with TailConsumer(self.broker, here) as tail:
            meanwhile = [
                process.spawn(deliveries.follow(tail)),
                process.spawn(deliveries.look_up(self.views.outcomes)),
                process.spawn(watch_parking(self.views, limits)),
            ]
            close = front.opens(slot, process, doors(self._house(acceptance)))
            await stopping.wait()
            close()
            await asyncio.sleep(LAST_ANSWERS_S)
            room.close()
            await asyncio.sleep(GOODBYE_S)
            await cancel(*meanwhile)

    def _acceptance(self, limits: ParkingLimits) -> Acceptance:
        return Acceptance(
            room=WaitingRoom(),
            conflicts=RedisConflicts(self.redis),
            parking=limits,
            publish=Coalesced(self.broker.publisher, timeout=ACCEPT_TIMEOUT_S).publish,
            keep_body=self.payloads.put,
            door=self.address,
            secret=SECRET,
            failpoints=self.failpoints,
        )

    def _house(self, acceptance: Acceptance) -> House:
        keyring = Keyring(SECRET)
        keyring.replace(_KEYS, self.configuration)
        return House(
            configuration=self.configuration,
            keyring=keyring,
            acceptance=acceptance,
            statuses=self.views,
            responses=MemoryResponses(),
            library=Library(NoPostgres()),
            payloads=MemoryPayloads(),
            probes=Probes(),
            clock=self.clock,
            patience=Patience(),
            max_waiting=100,
        )
