"""Kafka, Postgres and Valkey in containers, for tests where a Docker engine is at hand (ALLWEATHER_STACK=docker)."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager

from testcontainers.community.kafka import KafkaContainer
from testcontainers.community.postgres import PostgresContainer
from testcontainers.community.redis import RedisContainer

from allweather.local.kafka import LARGEST_MESSAGE
from allweather.local.system import Servers

KAFKA_IMAGE = "confluentinc/cp-kafka:8.1.0"
POSTGRES_IMAGE = "postgres:18-alpine"
VALKEY_IMAGE = "valkey/valkey:9-alpine"


def _kafka() -> KafkaContainer:
    return (
        KafkaContainer(KAFKA_IMAGE)
        .with_kraft()
        .with_env("KAFKA_AUTO_CREATE_TOPICS_ENABLE", "false")
        .with_env("KAFKA_MESSAGE_MAX_BYTES", str(LARGEST_MESSAGE))
    )


@contextmanager
def containers() -> Generator[Servers]:
    """One container each, removed on leaving."""
    with ExitStack() as running:
        kafka = running.enter_context(_kafka())
        postgres = running.enter_context(PostgresContainer(POSTGRES_IMAGE, dbname="allweather", driver=None))
        valkey = running.enter_context(RedisContainer(VALKEY_IMAGE))
        yield Servers(
            kafka=kafka.get_bootstrap_server(),
            postgres=postgres.get_connection_url(),
            redis=f"redis://{valkey.get_container_host_ip()}:{valkey.get_exposed_port(valkey.port)}/0",
        )
