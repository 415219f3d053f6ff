"""Brokers that are killed, or stop answering, under load: nothing acknowledged is lost, and everybody goes on."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from allweather.local.kafka import Cluster
from allweather.local.ports import Ports
from allweather.local.settings import LocalSettings
from allweather.local.state import StateFolder
from allweather.local.supervisor import Supervisor
from allweather.messaging import (
    ConcurrentConsumer,
    Connection,
    KafkaBroker,
    Message,
    OrderedConsumer,
    PublishTimeout,
    TailConsumer,
    TopicPartition,
    open_broker,
    topics,
)
from allweather.messaging.kafka import membership
from allweather.messaging.tasks import cancel
from allweather.messaging.testing import QUICK, Seen, eventually, running
from allweather.messaging.topics import Topic

pytestmark = pytest.mark.stack

SOURCE, ORDERED, CONCURRENT = "outage.source", "outage.ordered", "outage.concurrent"
BROKER = "kafka-1"
KILLS = 2


def silent(_: str) -> None:
    """Nobody follows these starts."""


@dataclass
class Stage:
    """A broker of the test's own, to be killed at will."""

    supervisor: Supervisor
    bootstrap: str

    async def kill(self, away: float) -> None:
        await self.supervisor.kill(BROKER, revive=False)
        await asyncio.sleep(away)
        await self.supervisor.resume(BROKER)

    async def freeze(self, seconds: float) -> None:
        await self.supervisor.kill(BROKER, signal.SIGSTOP)
        await asyncio.sleep(seconds)
        await self.supervisor.kill(BROKER, signal.SIGCONT)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncGenerator[Stage]:
    cluster = Cluster(tmp_path / "kafka", LocalSettings().cache_dir, Ports(0), os.environ, silent)
    async with Supervisor(StateFolder(tmp_path / "state"), silent) as supervisor:
        await supervisor.start(*cluster.programs())
        wanted = [Topic(name, 2, 1, {}) for name in (SOURCE, ORDERED, CONCURRENT)]
        await topics.provision(cluster.bootstrap, wanted)
        yield Stage(supervisor, cluster.bootstrap)


@dataclass
class Load:
    """A client that publishes numbers and remembers which were acknowledged."""

    broker: KafkaBroker
    acknowledged: set[bytes] = field(default_factory=set[bytes])

    async def run(self) -> None:
        number = 0
        while True:
            values = [str(number + n).encode() for n in range(20)]
            number += len(values)
            try:
                await self.broker.publisher.publish([Message(SOURCE, value, value) for value in values], timeout=2.0)
            except PublishTimeout:
                continue  # unknown: it may be there or not
            self.acknowledged.update(values)
            await asyncio.sleep(0.01)

    async def more(self) -> None:
        """Return when something was acknowledged that was not before."""
        before = len(self.acknowledged)
        await eventually(lambda: len(self.acknowledged) > before, within=60)


async def values(broker: KafkaBroker, topic: str) -> set[bytes | None]:
    return {record.value async for record in broker.read_all([topic])}


async def test_nothing_acknowledged_is_lost_when_the_broker_is_killed(stage: Stage) -> None:
    async with KafkaBroker(Connection(stage.bootstrap, "tests")) as broker:
        ordered = OrderedConsumer(broker, Seen(ORDERED).batch, group="o", instance="o-0", topics=[SOURCE], pace=QUICK)
        concurrent = ConcurrentConsumer(broker, Seen(CONCURRENT).record, group="c", topics=[SOURCE], pace=QUICK)
        load = Load(broker)
        loading = asyncio.create_task(load.run())
        async with running(ordered), running(concurrent):
            for kill in range(KILLS):
                await load.more()
                await stage.kill(away=kill * 3.0)
                await load.more()
            await cancel(loading)
            for group in ("o", "c"):
                await eventually(lambda group=group: caught_up(broker, group), within=90)

        assert load.acknowledged <= await values(broker, ORDERED)
        assert load.acknowledged <= await values(broker, CONCURRENT)


async def test_everybody_goes_on_after_a_broker_that_did_not_answer(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frozen, its connections stay open: only time limits tell. The commit's is the one that the client lacks."""
    monkeypatch.setattr(membership, "COMMIT_TIMEOUT", 1.0)
    async with KafkaBroker(Connection(stage.bootstrap, "tests")) as broker:
        load = Load(broker)
        loading = asyncio.create_task(load.run())
        async with running(OrderedConsumer(broker, Seen(ORDERED).batch, group="o", topics=[SOURCE], pace=QUICK)):
            await load.more()
            await stage.freeze(4.0)
            await load.more()
            await cancel(loading)
            await eventually(lambda: caught_up(broker, "o"), within=90)

        assert load.acknowledged <= await values(broker, ORDERED)


async def test_a_service_that_starts_while_no_broker_answers_waits_for_one(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    await stage.supervisor.kill(BROKER, revive=False)
    async with AsyncExitStack() as held:
        opening = asyncio.create_task(
            held.enter_async_context(open_broker(Connection(stage.bootstrap, client_id="early")))
        )
        await eventually(lambda: "waiting for kafka" in caplog.text, within=30)

        await stage.supervisor.resume(BROKER)

        broker = await opening
        assert await broker.reachable()


async def test_tail_goes_on_when_the_broker_was_killed(stage: Stage) -> None:
    async with (
        KafkaBroker(Connection(stage.bootstrap, "tests")) as broker,
        TailConsumer(broker, [TopicPartition(SOURCE, 0)]) as tail,
    ):
        seen: list[bytes | None] = []
        for value in (b"before", b"after"):
            await broker.publisher.publish([Message(SOURCE, value, partition=0)], timeout=60)
            async with asyncio.timeout(60):
                seen += [record.value for record in await anext(tail)]
            if value == b"before":
                await stage.kill(away=0.0)

        assert seen == [b"before", b"after"]


async def caught_up(broker: KafkaBroker, group: str) -> bool:
    lag = await broker.lag(group)
    return len(lag) == 2 and not any(lag.values())
