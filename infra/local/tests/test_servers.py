"""The real servers: started from packages, killed, started again over the same data."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (aiokafka and redis leave much of their interface untyped)

import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from redis.asyncio import Redis

from allweather.local import kafka, postgres, unprivileged, valkey
from allweather.local.child import Program
from allweather.local.ports import Ports
from allweather.local.probes import ready
from allweather.local.settings import LocalSettings
from allweather.local.state import StateFolder
from allweather.local.supervisor import Supervisor

pytestmark = pytest.mark.stack

TOPIC = "kept"


def silent(_: str) -> None:
    """Nobody follows these starts."""


@asynccontextmanager
async def started(folder: Path, *programs: Program) -> AsyncGenerator[Supervisor]:
    async with Supervisor(StateFolder(folder), silent) as supervisor:
        await supervisor.start(*programs)
        yield supervisor


def cluster(folder: Path, brokers: int = 1) -> kafka.Cluster:
    return kafka.Cluster(folder, LocalSettings().cache_dir, Ports(0), os.environ, silent, brokers=brokers)


async def create_topic(bootstrap: str, copies: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(TOPIC, num_partitions=1, replication_factor=copies)])
    finally:
        await admin.close()


async def publish(bootstrap: str, value: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        await producer.send_and_wait(TOPIC, value)
    finally:
        await producer.stop()


async def everything(bootstrap: str) -> list[bytes | None]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", group_id=None)
    await consumer.start()
    try:
        partition = TopicPartition(TOPIC, 0)
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        return [(await consumer.getone()).value for _ in range(end)]
    finally:
        await consumer.stop()


async def test_a_killed_broker_comes_back_with_every_acknowledged_record(tmp_path: Path) -> None:
    broker = cluster(tmp_path / "kafka")
    async with started(tmp_path / "state", *broker.programs()) as supervisor:
        await create_topic(broker.bootstrap, copies=1)
        await publish(broker.bootstrap, b"before")

        await supervisor.kill("kafka-1")
        await supervisor.until_ready("kafka-1")
        await publish(broker.bootstrap, b"after")

        assert await everything(broker.bootstrap) == [b"before", b"after"]


async def test_a_broker_makes_no_topic_by_itself(tmp_path: Path) -> None:
    broker = cluster(tmp_path / "kafka")
    async with started(tmp_path / "state", *broker.programs()):
        admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
        await admin.start()
        try:
            await admin.describe_topics(["never-made"])

            assert await admin.list_topics() == []
        finally:
            await admin.close()


async def test_three_brokers_outlive_the_loss_of_one(tmp_path: Path) -> None:
    brokers = cluster(tmp_path / "kafka", brokers=3)
    async with started(tmp_path / "state", *brokers.programs()) as supervisor:
        await create_topic(brokers.bootstrap, copies=3)

        await supervisor.kill("kafka-1", revive=False)
        await publish(brokers.bootstrap, b"with two of three")

        assert await everything(brokers.bootstrap) == [b"with two of three"]


async def test_a_killed_postgres_comes_back_with_what_it_committed(tmp_path: Path) -> None:
    server = postgres.program(tmp_path / "postgres", Ports(0).of("postgres"), os.environ)
    async with started(tmp_path / "state", server) as supervisor:
        connection = await asyncpg.connect(server.probe)
        await connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")

        await supervisor.kill("postgres")
        connection.terminate()
        await supervisor.until_ready("postgres")

        connection = await asyncpg.connect(server.probe)
        assert await connection.fetchval("SELECT answer FROM kept") == 42
        await connection.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_root_can_run_postgres_as_another_uid_where_user_namespaces_are_forbidden(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    outside = unprivileged.another_uid(tmp_path / "postgres" / "data", Path("/usr")).data.parent
    request.addfinalizer(lambda: shutil.rmtree(outside))

    server = postgres.program(
        tmp_path / "postgres", Ports(0).of("postgres"), os.environ, find_footing=unprivileged.another_uid
    )
    async with started(tmp_path / "state", server):
        assert await ready(server.probe)


async def test_a_killed_valkey_comes_back_with_what_it_acknowledged(tmp_path: Path) -> None:
    server = valkey.program(tmp_path / "valkey", Ports(0).of("valkey"), os.environ)
    async with started(tmp_path / "state", server) as supervisor:
        async with Redis.from_url(server.probe) as client:
            await client.set("kept", "42")

        await supervisor.kill("valkey")
        await supervisor.until_ready("valkey")

        async with Redis.from_url(server.probe) as client:
            assert await client.get("kept") == b"42"
