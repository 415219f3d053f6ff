"""Opens a lab: servers under one supervisor, our processes under another, so that each can be struck by itself."""

import asyncio
import shutil
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from lab.door import DoorProbe
from lab.figures import Figures
from lab.lab import Lab, Say
from lab.links import Link, linked
from lab.scenario import Conditions, Scenario
from lab.small_disk import small_disk
from openai import AsyncOpenAI, DefaultAioHttpClient

from allweather.contracts import config
from allweather.drills.acts import NORMAL
from allweather.drills.journal import Journal, now_ms
from allweather.drills.load import Load
from allweather.drills.stage import TENANT, Stage
from allweather.local.plan import Options
from allweather.local.ports import Ports
from allweather.local.running import Running, running
from allweather.local.settings import LocalSettings
from allweather.local.system import EndPoints
from allweather.messaging.kafka import Connection, KafkaBroker
from allweather.vendorsim.client import Simulator

STATE = LocalSettings().state_dir / "faults"
_SERVERS = ("kafka-1", "postgres", "valkey")


@asynccontextmanager
async def opened(scenario: Scenario, seed: int, *, thorough: bool, say: Say) -> AsyncGenerator[Lab]:
    """A lab with everything ready and the vendors well; all of it ends on leaving. Raises `StackError`."""
    conditions, state = scenario.conditions, STATE / scenario.name
    await asyncio.to_thread(shutil.rmtree, state, ignore_errors=True)
    settings = _settings(scenario)
    async with AsyncExitStack() as held:
        if conditions.postgres_mb:
            held.enter_context(small_disk(state / "servers" / "postgres", conditions.postgres_mb))
        links = await _links(settings, held) if conditions.linked else {}
        advertised = {"kafka-1": links["kafka-1"].port} if links else {}
        options = Options(brokers=conditions.brokers, stack_only=True, topics=False, advertised=advertised)
        servers = await held.enter_async_context(running(settings, options, say))
        own = _over(settings, servers.end_points, links, scenario)
        system = await held.enter_async_context(running(own, Options(replicas=dict(conditions.replicas)), say))
        stage = await _stage(system, own, servers.end_points, held)
        await stage.simulator.put_faults(*NORMAL)
        door = DoorProbe(system.end_points.http, system.credentials.key_of(TENANT), stage.journal, scenario.name)
        loads = [await _load(stage, tenant, conditions, held) for tenant in conditions.tenants]
        yield Lab(
            conditions,
            stage,
            state,
            servers.supervisor,
            system.supervisor,
            links,
            loads,
            door,
            Random(seed),
            thorough,
            say,
            Figures(timed=thorough),
        )


def _settings(scenario: Scenario) -> LocalSettings:
    """Ports that are known before anything listens, so that links can be put in between."""
    usual, ports = LocalSettings(), Ports(0)
    return usual.model_copy(
        update={
            "state_dir": STATE / scenario.name / "servers",
            "port_base": 0,
            "vendors": "simulated",
            "kafka_port": ports.of("kafka-1"),
            "postgres_port": ports.of("postgres"),
            "redis_port": ports.of("valkey"),
        }
    )


async def _links(settings: LocalSettings, held: AsyncExitStack) -> dict[str, Link]:
    ports = Ports(0)
    targets = (settings.kafka_port, settings.postgres_port, settings.redis_port)
    return {
        name: await held.enter_async_context(linked(name, ports.of(name), target))
        for name, target in zip(_SERVERS, targets, strict=True)
        if target
    }


def _over(settings: LocalSettings, ends: EndPoints, links: dict[str, Link], scenario: Scenario) -> LocalSettings:
    """What our processes are told: the servers exist already, maybe behind links."""
    through = {name: link.port for name, link in links.items()}
    return settings.model_copy(
        update={
            "state_dir": STATE / scenario.name / "system",
            "config_dir": scenario.conditions.config_dir or settings.config_dir,
            "kafka_bootstrap": f"127.0.0.1:{through['kafka-1']}" if links else ends.kafka,
            "postgres_dsn": _moved(ends.postgres, through.get("postgres")),
            "redis_url": _moved(ends.redis, through.get("valkey")),
        }
    )


def _moved(url: str, port: int | None) -> str:
    """The same address at another port."""
    parts = urlsplit(url)
    if port is None:
        return url
    user = f"{parts.username}@" if parts.username else ""
    return urlunsplit(parts._replace(netloc=f"{user}{parts.hostname}:{port}"))


async def _stage(system: Running, settings: LocalSettings, direct: EndPoints, held: AsyncExitStack) -> Stage:
    """Clients in hand. They look at the servers directly: what is between them is struck, our sight is not."""
    return Stage(
        system,
        settings,
        config.load(settings.config_dir),
        await held.enter_async_context(KafkaBroker(Connection(direct.kafka, client_id="faults"))),
        await held.enter_async_context(asyncpg.create_pool(direct.postgres, min_size=0, max_size=2, timeout=5)),
        await held.enter_async_context(Simulator(system.end_points.simulators)),
        await held.enter_async_context(_sdk(system, TENANT)),
        Journal(),
        now_ms(),
    )


def _sdk(system: Running, tenant: str) -> AsyncOpenAI:
    """Without retries of its own: the client of the drill repeats, and so each take-over is seen as it is."""
    return AsyncOpenAI(
        base_url=f"{system.end_points.http}/v1",
        api_key=system.credentials.key_of(tenant),
        max_retries=0,
        timeout=600,
        http_client=DefaultAioHttpClient(),
    )


async def _load(stage: Stage, tenant: str, conditions: Conditions, held: AsyncExitStack) -> Load:
    sdk = await held.enter_async_context(_sdk(stage.system, tenant))
    ways = conditions.ways(stage.broker.publisher, sdk, tenant, stage.journal)
    return Load(ways, f"{tenant}-{stage.since_ms}", conditions.per_second / len(conditions.tenants))
