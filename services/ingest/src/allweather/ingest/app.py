"""The composition root of the ingest service: the only place that builds its clients."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from allweather.contracts import config, topics
from allweather.contracts.config import Configuration
from allweather.contracts.ids import DoorAddress
from allweather.ingest.acceptance import Acceptance
from allweather.ingest.adapters.conflicts import RedisConflicts
from allweather.ingest.adapters.key_file import KeyFile
from allweather.ingest.adapters.leases import Leases, keep
from allweather.ingest.adapters.library import Library
from allweather.ingest.adapters.publishing import Coalesced
from allweather.ingest.adapters.response_table import ResponseTable
from allweather.ingest.adapters.server import serving
from allweather.ingest.adapters.views import ParkingLimits, RouterViews, watch_parking
from allweather.ingest.batches.feeder import Means, feed_batches
from allweather.ingest.deliveries import Deliveries
from allweather.ingest.doors.streamed import Patience
from allweather.ingest.keys import Keyring
from allweather.ingest.responses import KEPT_MS
from allweather.ingest.routes import House, doors
from allweather.ingest.settings import Settings
from allweather.ingest.waiters import WaitingRoom
from allweather.messaging import Broker, Publisher, TailConsumer, TopicPartition, open_broker
from allweather.messaging.kafka.settings import Connection
from allweather.runtime.clock import Clock
from allweather.runtime.migrations import migrate
from allweather.runtime.payloads import DirectoryPayloads, Payloads
from allweather.runtime.postgres import DependencyAway, Postgres, open_postgres
from allweather.runtime.redis import guarded_redis
from allweather.runtime.service import Service
from allweather.runtime.settings import SettingsError
from allweather.telemetry.instruments import NONE
from allweather.telemetry.messaging import MessagingMetrics
from allweather.telemetry.metrics import POSTGRES_AWAY, REDIS_AWAY

LAST_ANSWERS_S: Final = 8.0
"""How long callers may still get their answers once a stop is asked for; then they are told `pending`."""

FORGET_S: Final = 3600.0

MIGRATIONS: Final = Path(__file__).parent / "migrations"


async def main(service: Service[Settings]) -> None:
    """Serve the HTTP doors until told to stop."""
    settings = service.settings
    configuration = _configuration(settings)
    keyring = Keyring(settings.secret())
    key_file = KeyFile(settings.keys_file, keyring, configuration)
    key_file.read()

    postgres = await service.own(
        open_postgres(settings.postgres_dsn, name=service.name, on_away=POSTGRES_AWAY.hook(NONE))
    )
    await migrate(settings.postgres_dsn, schema="ingest", folder=MIGRATIONS)
    broker = await _broker(service)
    payloads = DirectoryPayloads(settings.payload_dir)
    door = await service.own(_leased(broker, postgres, settings.instance))
    here = [TopicPartition(topic, door.partition) for topic in (topics.DOOR, topics.DELTAS)]
    tail = await service.own(TailConsumer(broker, here))

    views, limits = RouterViews(postgres), ParkingLimits(configuration)
    acceptance = await _acceptance(service, broker.publisher, payloads, limits, door)
    deliveries = Deliveries(acceptance.room)
    responses, library = ResponseTable(postgres), Library(postgres)
    feeding = Means(library, views, payloads, acceptance, service.clock, door.door)
    house = House(
        configuration=configuration,
        keyring=keyring,
        acceptance=acceptance,
        statuses=views,
        responses=responses,
        library=library,
        payloads=payloads,
        probes=service.probes,
        clock=service.clock,
        patience=Patience(settings.hold_s, settings.keep_alive_s),
        max_waiting=settings.max_waiting,
    )
    async with (
        _meanwhile(
            deliveries.follow(tail),
            deliveries.look_up(views.outcomes),
            watch_parking(views, limits),
            key_file.watch(),
            feed_batches(feeding),
            _forget_old(responses, service.clock),
            _last_answers(service.stopping, acceptance.room),
        ),
        serving(doors(house), settings.http_host, settings.http_port, grace_s=LAST_ANSWERS_S + 2),
    ):
        service.probes.register("kafka", lambda: _answers(broker))  # not before the door is open is anything ready
        service.probes.register("payload store", payloads.ping)
        await service.stopping.wait()


def _configuration(settings: Settings) -> Configuration:
    try:
        return config.load(settings.config_dir)
    except config.InvalidConfiguration as error:
        raise SettingsError(str(error).splitlines()) from None


async def _broker(service: Service[Settings]) -> Broker:
    name = f"{service.name}-{service.settings.instance}"
    connection = Connection(service.settings.kafka_bootstrap, client_id=name)
    return await service.own(open_broker(connection, metrics=MessagingMetrics()))


async def _answers(broker: Broker) -> None:
    if not await broker.reachable():
        raise ConnectionError("no broker answers")


async def _acceptance(
    service: Service[Settings], publisher: Publisher, payloads: Payloads, limits: ParkingLimits, door: DoorAddress
) -> Acceptance:
    settings = service.settings
    redis = await service.own(guarded_redis(settings.redis_url, on_away=REDIS_AWAY.hook(NONE)))
    return Acceptance(
        room=WaitingRoom(),
        conflicts=RedisConflicts(redis),
        parking=limits,
        publish=Coalesced(publisher, timeout=settings.accept_timeout_s).publish,
        keep_body=payloads.put,
        door=door,
        secret=settings.secret(),
        failpoints=service.failpoints,
    )


@asynccontextmanager
async def _leased(broker: Broker, postgres: Postgres, slot: int) -> AsyncGenerator[DoorAddress]:
    """Where replies for this replica go. Its name is new at each start: nobody waits for older replies."""
    partitions = broker.partitions(topics.DOOR)
    if partitions is None:
        raise SettingsError([f"the topic {topics.DOOR} does not exist; make the topics of infra/kafka/topics.yaml"])
    leases, door = Leases(postgres, partitions=partitions), f"{slot}-{uuid4().hex[:8]}"
    async with _meanwhile(keep(leases, door)):
        yield DoorAddress(door, await leases.take(door, slot))
    with contextlib.suppress(DependencyAway):
        await leases.give_back(door)


@asynccontextmanager
async def _meanwhile(*work: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """Do this while the block runs; the failure of any of it ends the block."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in work]
        yield
        for task in tasks:
            task.cancel()


async def _forget_old(responses: ResponseTable, clock: Clock) -> None:
    """Forget stored responses that are too old to be asked for, until cancelled."""
    while True:
        with contextlib.suppress(DependencyAway):
            await responses.prune(clock.now_ms() - KEPT_MS)
        await asyncio.sleep(FORGET_S)


async def _last_answers(stopping: asyncio.Event, room: WaitingRoom) -> None:
    """After a stop was asked for, callers wait a little longer for their answers, and then no more."""
    await stopping.wait()
    await asyncio.sleep(LAST_ANSWERS_S)
    room.close()
