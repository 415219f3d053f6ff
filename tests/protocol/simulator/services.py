"""The services as processes: production's own parts, put together as their `app.py` does, on simulated servers.

What a rule is made of stands here as a method or a value of `Services`, so that it can be taken out: see `removed`.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from simulator.chores import Chore, Chores
from simulator.door import SimDoor, SimViews
from simulator.front import Front
from simulator.kafka import Kafka, SimBroker
from simulator.loop import Process
from simulator.net import Net
from simulator.postgres import Postgres
from simulator.redis import RedisServer, SimLine
from simulator.settings import BREAKERS, PACE, SECRET, WINDOW, policy
from simulator.tables import SimParkedQueue, SimStepTable, Tables
from simulator.vendors import SimAttempts, Vendors
from simulator.witness import Witness

from allweather.contracts import topics
from allweather.contracts.config import Configuration
from allweather.contracts.ids import DoorAddress
from allweather.failpoints import OFF, Failpoints
from allweather.messaging import BatchHandler, ConcurrentConsumer, Middleware, OrderedConsumer
from allweather.messaging.middleware import dead_letter, retry
from allweather.messaging.middleware.dead_letter import OutcomeFor, no_outcome
from allweather.policy.dead_letters import outcome_for
from allweather.policy.handlers import ClearRequests
from allweather.provider_worker import results
from allweather.provider_worker.adapters.bodies import Bodies
from allweather.provider_worker.adapters.claims import RedisClaims
from allweather.provider_worker.adapters.credentials import FixedKey
from allweather.provider_worker.claims import Holder
from allweather.provider_worker.handlers import DispatchHandler
from allweather.provider_worker.limits import Limiter
from allweather.provider_worker.stations import Equipped
from allweather.provider_worker.telemetry import Observer
from allweather.provider_worker.wire import Target
from allweather.router.adapters.fleet import STAND_IN, Fleet, worker_group
from allweather.router.adapters.health import SharedHealth
from allweather.router.handlers import DecideSteps
from allweather.router.health import HealthBoard
from allweather.router.outbox import Outbox, dead_lettered
from allweather.router.release import Assignment, ParkedRequests, Release
from allweather.router.space import ParkingSpace
from allweather.runtime.clock import Clock
from allweather.runtime.payloads import MemoryPayloads
from allweather.runtime.redis import RedisGuard
from allweather.runtime.redis_client import RedisClient

_PATIENCE_S: Final = 600.0
"""How long an answer of Redis is waited for: not shortly, as in production, where time passes for a reason."""


@dataclass(frozen=True)
class Servers:
    """What outlives every process."""

    net: Net
    configuration: Configuration
    kafka: Kafka
    postgres: Postgres
    tables: Tables
    redis: RedisServer
    vendors: Vendors
    payloads: MemoryPayloads
    witness: Witness
    front: Front


@dataclass(frozen=True)
class Host:
    """Where one life of a process runs."""

    process: Process
    clock: Clock
    slot: str
    """`<service>-<number>`: the name that every life of it has."""
    stopping: asyncio.Event


class Services:
    """How each service is put together."""

    failpoints: Failpoints = OFF
    stands_in = True
    """R7: whether routers stand in for a fleet that is gone."""
    end_of_bugs: OutcomeFor = staticmethod(results.dead_lettered)
    """R2: the record that ends a request whose dispatch is put aside."""

    def __init__(self, servers: Servers) -> None:
        self.servers = servers

    async def policy(self, host: Host) -> None:
        """See `policy.app`."""
        broker = self._broker(host)
        consumer = OrderedConsumer(
            broker,
            self.clear(),
            group="policy",
            instance=host.slot,
            pattern=topics.REQUESTS_PATTERN,
            middleware=_wrappers("policy", outcome_for(SECRET)),
            pace=PACE,
            failpoints=self.failpoints,
        )
        await consumer.run(host.stopping)

    async def router(self, host: Host) -> None:
        """See `router.app`."""
        s, broker, clock = self.servers, self._broker(host), host.clock
        board = HealthBoard(s.configuration, BREAKERS)
        health = SharedHealth(board, self._redis(clock), clock, replica=host.slot)
        await health.start()
        parked, space = self.parked(), ParkingSpace(s.configuration)
        steps, outbox = self.steps(), self.outbox(broker)
        handler = DecideSteps(
            s.configuration, s.witness.reading(steps), board, space, s.payloads, outbox, clock, self.failpoints
        )
        consumer = OrderedConsumer(
            broker,
            s.witness.deciding(handler),
            group="router",
            instance=host.slot,
            topics=[topics.CLEARED, topics.RESULTS],
            middleware=_wrappers("router", dead_lettered),
            pace=PACE,
            failpoints=self.failpoints,
        )
        release = self.release(parked, board, broker, clock, lambda: consumer.assignment)
        fleet = self._fleet(host, broker, board)

        chores = self._chores(release, parked, space, health, fleet, board)
        host.process.spawn(Chores(chores, host.process, s.net).run(host.stopping))
        await consumer.run(host.stopping)

    async def door(self, host: Host, partition: int) -> None:
        """See `ingest.app`. The partition of a slot is its own: nobody else is there to lease it."""
        s, clock = self.servers, host.clock
        address = DoorAddress(f"{host.slot}-{clock.now_ms()}", partition)
        views, broker = SimViews(s.postgres, s.tables), self._broker(host)
        redis = self._redis(clock)
        door = SimDoor(s.configuration, views, redis, s.payloads, broker, address, clock, self.failpoints)
        await door.serve(host.slot, s.front, host.process, host.stopping)

    async def worker(self, host: Host, vendor: str) -> None:
        """See `provider_worker.app`."""
        s, clock = self.servers, host.clock
        group, broker = worker_group(vendor), self._broker(host)
        claims = self.claims(self._redis(clock))
        handler = DispatchHandler(
            {d.id: _station(d.id, s.configuration) for d in s.configuration.deployments if d.vendor == vendor},
            SimAttempts(s.vendors, host.process, clock, s.configuration, broker.publisher),
            claims,
            Bodies(s.payloads),
            me=Holder(host.slot, clock.now_ms()),
            window=WINDOW,
            clock=clock,
            observer=_Unobserved(s.configuration.vendor(vendor)),
            failpoints=self.failpoints,
        )
        consumer = ConcurrentConsumer(
            broker,
            s.witness.taking(handler, clock),
            group=group,
            instance=host.slot,
            topics=[topics.dispatch(vendor)],
            window=WINDOW,
            middleware=_wrappers(group, self.end_of_bugs),
            pace=PACE,
            failpoints=self.failpoints,
        )
        async with claims.renewing():
            await consumer.run(host.stopping)

    def _chores(
        self,
        release: Release,
        parked: SimParkedQueue,
        space: ParkingSpace,
        health: SharedHealth,
        fleet: Fleet,
        board: HealthBoard,
    ) -> list[Chore]:
        waiting, redis, known = self.servers.tables.parked.__len__, self.servers.redis, 0

        async def count() -> None:
            space.counted(await parked.counts())

        async def share() -> None:
            nonlocal known
            known = redis.version
            await health.sync()

        chores = [Chore(turn, waiting) for turn in (release.let_go, release.expire, count)]
        chores.append(Chore(share, lambda: board.unshared or redis.version != known or _unwell(board)))
        if self.stands_in:
            chores.append(Chore(fleet.look, lambda: board.lost_vendors or not self._all_fleets_work()))
        return chores

    # What a rule is made of

    def clear(self) -> BatchHandler:
        """R10: every record of the Kafka door gets a verdict, under an id that follows from its key."""
        payloads = self.servers.payloads
        return ClearRequests(policy(self.servers.configuration), SECRET, read_body=payloads.get, keep_body=payloads.put)

    def parked(self) -> SimParkedQueue:
        """R4: a row leaves the queue when the record that lets it go is acknowledged."""
        return SimParkedQueue(self.servers.postgres, self.servers.tables)

    def release(
        self, parked: ParkedRequests, board: HealthBoard, broker: SimBroker, clock: Clock, assignment: Assignment
    ) -> Release:
        """R2: what expires is ended by a record."""
        return Release(parked, board, self.servers.payloads, broker, clock, assignment, self.failpoints)

    def steps(self) -> SimStepTable:
        """R1: the table that decides. R10: who submits the same again waits for the same answer."""
        return SimStepTable(self.servers.postgres, self.servers.tables)

    def outbox(self, broker: SimBroker) -> Outbox:
        """R10: an answer whose address does not exist goes to the default one."""
        return Outbox(broker.partitions, SECRET)

    def claims(self, redis: RedisGuard) -> RedisClaims:
        """R5: a redelivered call waits for its living holder."""
        return RedisClaims(redis)

    # What they have in common

    def _broker(self, host: Host) -> SimBroker:
        return SimBroker(self.servers.kafka, host.process, host.slot)

    def _redis(self, clock: Clock) -> RedisGuard:
        async def dial() -> SimLine:
            return SimLine(self.servers.redis)

        return RedisGuard(RedisClient(dial, timeout_s=_PATIENCE_S), clock=clock)

    def _fleet(self, host: Host, broker: SimBroker, board: HealthBoard) -> Fleet:
        def stand_in() -> SimBroker:
            return SimBroker(self.servers.kafka, host.process, f"{STAND_IN}-{host.slot}")

        vendors = [vendor.id for vendor in self.servers.configuration.vendors]
        return Fleet(vendors, broker, stand_in, lambda group: _wrappers(group), board, host.clock)

    def _all_fleets_work(self) -> bool:
        groups = (self.servers.kafka.group(worker_group(v.id)) for v in self.servers.configuration.vendors)
        return all(any(not m.known.client_id.startswith(STAND_IN) for m in group.members) for group in groups)


class _Unobserved(Observer):
    """No spans and no metrics: a hundred thousand schedules would only fill them."""

    def ended(self, span: object, target: Target, ended: object) -> None:
        """Nothing is counted."""


def _station(deployment: str, configuration: Configuration) -> Equipped:
    known = configuration.deployment(deployment)
    return Equipped(Target(known, "http://127.0.0.1"), FixedKey("simulated"), Limiter.of(known.concurrency))


def _wrappers(group: str, outcome: OutcomeFor = no_outcome) -> Sequence[Middleware]:
    """As `messaging.middleware.standard`, without its spans and clocks."""
    return dead_letter(group=group, outcome_for=outcome), retry(group=group)


def _unwell(board: HealthBoard) -> bool:
    return any(state.status != "closed" for state in board.breakers.values())
