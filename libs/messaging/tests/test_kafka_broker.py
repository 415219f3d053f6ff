"""The Kafka broker keeps the promises of every broker."""

from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest

from allweather.messaging import KafkaBroker
from allweather.messaging.kafka import Connection
from allweather.messaging.kafka.client import AdminClient
from allweather.messaging.suite import BrokerSuite
from allweather.messaging.testing import eventually


@pytest.fixture
async def broker(kafka_bootstrap: str) -> AsyncGenerator[KafkaBroker]:
    async with KafkaBroker(Connection(kafka_bootstrap, "tests")) as broker:
        yield broker


@pytest.fixture
async def create(kafka_bootstrap: str, broker: KafkaBroker) -> AsyncGenerator[Callable[[str, int], Awaitable[None]]]:
    admin = AdminClient(Connection(kafka_bootstrap, "tests"))
    await admin.start()

    async def create(topic: str, partitions: int) -> None:
        await admin.create(topic, partitions, 1, {"max.message.bytes": "4194304"})
        await eventually(lambda: knows(broker, topic))

    yield create
    await admin.close()


async def knows(broker: KafkaBroker, topic: str) -> bool:
    """Whether word of the topic has reached the client; a broker may acknowledge its creation a moment before."""
    return await broker.reachable() and broker.partitions(topic) is not None


class TestKafkaBroker(BrokerSuite):
    """Against a real broker."""
