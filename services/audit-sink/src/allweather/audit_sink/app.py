"""The composition root of the audit sink: the only place that builds its clients."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from allweather.audit_sink.adapters.keys import load_or_create, write_verifier_keys
from allweather.audit_sink.adapters.log import Log
from allweather.audit_sink.backlog import Backlog
from allweather.audit_sink.checkpoints import Signer
from allweather.audit_sink.handlers import Sink
from allweather.audit_sink.lag import Lag
from allweather.audit_sink.publishing import Publishing
from allweather.audit_sink.reading import PIPELINE
from allweather.audit_sink.settings import Settings
from allweather.contracts import topics
from allweather.messaging import Broker, Connection, OrderedConsumer, Pace, TransientError, open_broker
from allweather.messaging.middleware import metered, retry
from allweather.runtime.migrations import migrate
from allweather.runtime.postgres import Postgres, open_postgres
from allweather.runtime.service import Service
from allweather.runtime.settings import SettingsError
from allweather.telemetry.instruments import NONE
from allweather.telemetry.messaging import MessagingMetrics
from allweather.telemetry.metrics import POSTGRES_AWAY

MIGRATIONS = Path(__file__).parent / "migrations"
SCHEMA = "audit"
GATHER_S = 0.5
"""How long a batch may fill: a larger one costs less for each record, and nobody waits for an entry."""


async def main(service: Service[Settings]) -> None:
    """Enter every record of the pipeline into the log, and sign it, until told to stop."""
    settings = service.settings
    member = f"{service.name}-{settings.instance}"
    key = load_or_create(settings.audit_key_file)
    postgres = await _postgres(service)
    broker = await service.own(
        open_broker(Connection(settings.kafka_bootstrap, client_id=member), metrics=MessagingMetrics())
    )
    signer = _signer(settings, key, broker)

    backlog = Backlog()
    tables = Log(postgres, service.failpoints)
    sink = Sink(tables, backlog)
    publishing = Publishing(
        tables, lambda: sink.shards, backlog, signer=signer, publisher=broker.publisher, clock=service.clock
    )
    consumer = _consumer(service, broker, sink, member)
    lag = Lag(broker, lambda: consumer.assignment, lambda: sink.shards)
    service.probes.register("postgres", tables.ping)
    service.probes.register("lag", lag.ping)

    service.spawn(lag.run(service.stopping), name="lag")
    service.spawn(publishing.run(service.stopping), name="publishing")
    await consumer.run(service.stopping)
    await publishing.finish()  # what the last batch has brought


async def _postgres(service: Service[Settings]) -> Postgres:
    dsn = service.settings.postgres_dsn
    postgres = await service.own(
        open_postgres(dsn, name=service.name, away=TransientError, on_away=POSTGRES_AWAY.hook(NONE))
    )
    await migrate(dsn, schema=SCHEMA, folder=MIGRATIONS)
    return postgres


def _signer(settings: Settings, key: Ed25519PrivateKey, broker: Broker) -> Signer:
    """The signer; its public key is written for every shard that there can be."""
    shards = broker.partitions(topics.AUDIT_ENTRIES)
    if shards is None:
        raise SettingsError([f"there is no topic {topics.AUDIT_ENTRIES}: make the topics first"])
    signer = Signer(settings.audit_log, key)
    write_verifier_keys(settings.audit_public_key_file, signer.verifier, shards)
    return signer


def _consumer(service: Service[Settings], broker: Broker, sink: Sink, member: str) -> OrderedConsumer:
    """Without dead letters: every record gets an entry, and an error here is a bug that must stop the process."""
    metrics = MessagingMetrics()
    return OrderedConsumer(
        broker,
        sink,
        group=service.name,
        instance=member,
        pattern=PIPELINE,
        middleware=(retry(group=service.name, metrics=metrics), metered(group=service.name, metrics=metrics)),
        start_offsets=sink.start_offsets,
        pace=Pace(gather=GATHER_S),
        metrics=metrics,
        failpoints=service.failpoints,
    )
