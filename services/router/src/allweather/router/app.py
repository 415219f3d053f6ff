"""The composition root of the router: the only place that builds its clients."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from allweather.contracts import config
from allweather.messaging import (
    BatchHandler,
    Broker,
    Connection,
    Middleware,
    OrderedConsumer,
    Points,
    TransientError,
    open_broker,
)
from allweather.messaging.middleware import standard
from allweather.router.adapters.fleet import STAND_IN, Fleet
from allweather.router.adapters.health import SharedHealth
from allweather.router.adapters.parked import ParkedQueue
from allweather.router.adapters.steps import StepTable
from allweather.router.breaker import BreakerSettings
from allweather.router.handlers import DecideSteps
from allweather.router.health import HealthBoard
from allweather.router.housekeeping import Housekeeping
from allweather.router.loops import Turn, turning
from allweather.router.outbox import Outbox, dead_lettered
from allweather.router.release import READ, Release, check_partitions
from allweather.router.settings import Settings
from allweather.router.space import ParkingSpace
from allweather.runtime.migrations import migrate
from allweather.runtime.payloads import DirectoryPayloads
from allweather.runtime.postgres import open_postgres
from allweather.runtime.redis import guarded_redis
from allweather.runtime.service import Service
from allweather.runtime.settings import SettingsError
from allweather.telemetry.instruments import NONE
from allweather.telemetry.messaging import MessagingMetrics
from allweather.telemetry.metrics import POSTGRES_AWAY, REDIS_AWAY
from allweather.telemetry.tracing import tracer

MIGRATIONS = Path(__file__).parent / "migrations"
COUNT_EVERY_S = 1.0
REPLICAS_EVERY_S = 10.0
FORGET_EVERY_S = 600.0
LOOP_LIMIT_S = 120.0
"""How much longer than its pause a background loop may take for a turn before it hangs."""


async def main(service: Service[Settings]) -> None:
    """Decide the steps of requests until told to stop."""
    settings, clock = service.settings, service.clock
    configuration, secret = _configuration(settings), settings.secret()
    member = f"{service.name}-{settings.instance}"
    connection = Connection(settings.kafka_bootstrap, client_id=member)
    metrics = MessagingMetrics()

    await migrate(settings.postgres_dsn, schema="router", folder=MIGRATIONS)
    postgres = await service.own(
        open_postgres(settings.postgres_dsn, name=member, away=TransientError, on_away=POSTGRES_AWAY.hook(NONE))
    )
    redis = await service.own(guarded_redis(settings.redis_url, on_away=REDIS_AWAY.hook(NONE)))
    broker = await service.own(open_broker(connection, metrics=metrics))
    check_partitions(broker.partitions)
    payloads = DirectoryPayloads(settings.payload_dir)
    for name, ping in (("postgres", postgres.ping), ("kafka", lambda: _answers(broker)), ("payloads", payloads.ping)):
        service.probes.register(name, ping)

    breakers = BreakerSettings().shortened(settings.time_factor)
    board = HealthBoard(configuration, breakers, released_share=settings.released_share)
    health = SharedHealth(board, redis, clock, replica=member)
    await health.start()
    service.spawn(health.run(service.stopping), name="health")

    steps, parked, space = StepTable(postgres), ParkedQueue(postgres), ParkingSpace(configuration)
    outbox = Outbox(broker.partitions, secret)
    handler = DecideSteps(configuration, steps, board, space, payloads, outbox, clock, service.failpoints)
    consumer = _consumer(service, broker, handler, member, metrics)

    release = Release(parked, board, payloads, broker.publisher, clock, lambda: consumer.assignment, service.failpoints)
    _turn(service, "release", release.let_go, settings.release_every_s)
    _turn(service, "expiry", release.expire, settings.release_every_s)
    keep_days = settings.keep_steps_days
    housekeeping = Housekeeping(broker, parked, steps, space, board, clock, keep_days=keep_days)
    _turn(service, "count", housekeeping.count, COUNT_EVERY_S)
    _turn(service, "replicas", housekeeping.count_replicas, REPLICAS_EVERY_S)
    _turn(service, "forget", housekeeping.forget, FORGET_EVERY_S)

    def stand_in() -> AbstractAsyncContextManager[Broker]:
        return open_broker(connection.named(f"{STAND_IN}-{settings.instance}"), metrics=metrics)

    vendors = [vendor.id for vendor in configuration.vendors]
    fleet = Fleet(vendors, broker, stand_in, lambda group: _wrappers(group, metrics), board, clock)
    service.spawn(fleet.run(service.stopping), name="fleet")

    await consumer.run(service.stopping)


def _configuration(settings: Settings) -> config.Configuration:
    try:
        return config.load(settings.config_dir)
    except config.InvalidConfiguration as error:
        raise SettingsError(str(error).splitlines()) from None


def _consumer(
    service: Service[Settings], broker: Broker, handler: BatchHandler, member: str, metrics: MessagingMetrics
) -> OrderedConsumer:
    """One consumer reads both topics, so that a batch can settle before it dispatches."""
    return OrderedConsumer(
        broker,
        handler,
        group=service.name,
        instance=member,
        topics=READ,
        middleware=_wrappers(service.name, metrics),
        metrics=metrics,
        failpoints=service.failpoints,
        points=Points("router.before-publish", "router.before-ack", "router.after-publish"),
    )


async def _answers(broker: Broker) -> None:
    if not await broker.reachable():
        raise ConnectionError("no broker answers")


def _wrappers(group: str, metrics: MessagingMetrics) -> Sequence[Middleware]:
    return standard(group=group, metrics=metrics, tracer=tracer(__name__), outcome_for=dead_lettered)


def _turn(service: Service[Settings], name: str, turn: Turn, every_s: float) -> None:
    beat = service.probes.heartbeat(name, LOOP_LIMIT_S + 2 * every_s)
    service.spawn(turning(turn, service.stopping, every_s=every_s, beat=beat, name=name), name=name)
