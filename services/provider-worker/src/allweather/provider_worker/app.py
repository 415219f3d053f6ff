"""The composition root: what has a life of its own is built here, and closed by the service that owns it."""

import time

from allweather.contracts import config, topics
from allweather.messaging import Broker, ConcurrentConsumer, Connection, Pace, Points, open_broker
from allweather.messaging.middleware import standard
from allweather.provider_worker import results
from allweather.provider_worker.adapters.bodies import Bodies
from allweather.provider_worker.adapters.claims import RedisClaims
from allweather.provider_worker.adapters.deltas import KafkaDeltas
from allweather.provider_worker.adapters.http import transport
from allweather.provider_worker.attempts import Attempts
from allweather.provider_worker.call import VendorCall
from allweather.provider_worker.claims import Holder
from allweather.provider_worker.handlers import DispatchHandler
from allweather.provider_worker.settings import Settings
from allweather.provider_worker.stations import stations
from allweather.provider_worker.telemetry import Observer
from allweather.provider_worker.vendors import VENDORS
from allweather.provider_worker.work import Work
from allweather.runtime.payloads import DirectoryPayloads
from allweather.runtime.redis import guarded_redis
from allweather.runtime.service import Service
from allweather.runtime.settings import SettingsError
from allweather.telemetry.instruments import NONE
from allweather.telemetry.messaging import MessagingMetrics
from allweather.telemetry.metrics import REDIS_AWAY
from allweather.telemetry.tracing import tracer

CALL_MARGIN_S = 60.0
"""What a handler may take beyond its vendor call before it no longer counts as progress."""


async def main(service: Service[Settings]) -> None:
    """Call one vendor until told to stop; calls in flight are then given their time to end."""
    settings = service.settings
    configuration = _configuration(settings)
    group = f"{service.name}.{settings.vendor}"
    member = f"{group}-{settings.instance}"
    metrics = MessagingMetrics()

    broker = await service.own(open_broker(Connection(settings.kafka_bootstrap, member), metrics=metrics))
    redis = await service.own(guarded_redis(settings.redis_url, on_away=REDIS_AWAY.hook(NONE)))
    vendors = await service.own(transport(config.Timeouts().connect))
    claims = RedisClaims(redis)
    await service.own(claims.renewing())
    payloads = DirectoryPayloads(settings.payload_dir)
    service.probes.register("kafka", lambda: _answers(broker))
    service.probes.register("payloads", payloads.ping)

    def deltas(work: Work, call_id: str, deployment: config.Deployment) -> KafkaDeltas:
        return KafkaDeltas(broker.publisher, service.clock, work, call_id, deployment)

    vendor = configuration.vendor(settings.vendor)
    call = VendorCall(vendors, service.clock.now_ms)
    handler = DispatchHandler(
        stations(configuration, settings),
        Attempts(VENDORS[vendor.api], call, configuration, service.clock, deltas),
        claims,
        Bodies(payloads),
        me=Holder(member, time.time_ns()),
        window=settings.window,
        clock=service.clock,
        observer=Observer(vendor),
        failpoints=service.failpoints,
    )
    consumer = ConcurrentConsumer(
        broker,
        handler,
        group=group,
        instance=member,
        topics=[topics.dispatch(settings.vendor)],
        window=settings.window,
        middleware=standard(
            group=group, metrics=metrics, tracer=tracer(service.name), outcome_for=results.dead_lettered
        ),
        pace=Pace(call_limit=_longest_call(configuration) + CALL_MARGIN_S),
        metrics=metrics,
        failpoints=service.failpoints,
        points=Points(after_publish="worker.after-publish"),
    )
    await consumer.run(service.stopping)


async def _answers(broker: Broker) -> None:
    if not await broker.reachable():
        raise ConnectionError("Kafka does not answer")


def _configuration(settings: Settings) -> config.Configuration:
    """The configuration. Raises SettingsError for one that is invalid, or lacks this vendor or its translator."""
    try:
        configuration = config.load(settings.config_dir)
    except config.InvalidConfiguration as error:
        raise SettingsError([str(error)]) from None
    apis = {vendor.id: vendor.api for vendor in configuration.vendors}
    if settings.vendor not in apis:
        raise SettingsError([f"VENDOR: {settings.vendor!r} is not in the catalogue; known: {', '.join(apis)}"])
    if apis[settings.vendor] not in VENDORS:
        raise SettingsError([f"VENDOR: no translator {apis[settings.vendor]!r}; known: {', '.join(VENDORS)}"])
    return configuration


def _longest_call(configuration: config.Configuration) -> float:
    return max((route.timeouts.total for route in configuration.routes), default=config.Timeouts().total)
