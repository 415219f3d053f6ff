"""An outage that does not matter: the story that `make demo` runs, on real parts, against the simulators."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import asyncpg
from openai import AsyncOpenAI

from allweather.contracts import config
from allweather.drills.acts import ACTS, KILLS, NORMAL, Act
from allweather.drills.checker import check
from allweather.drills.clients import HttpClient, KafkaClient
from allweather.drills.evidence import Evidence, VendorCall
from allweather.drills.gather import gather
from allweather.drills.journal import Journal
from allweather.drills.load import Load
from allweather.drills.screen import Figures, Screen
from allweather.drills.summary import Summary, summarise
from allweather.local.running import Running
from allweather.local.settings import LocalSettings
from allweather.local.system import SERVICES
from allweather.messaging import Broker
from allweather.messaging.kafka import Connection, KafkaBroker
from allweather.vendorsim.calls import read_log
from allweather.vendorsim.client import Simulator

TENANT = "demo"
_SETTLE_WITHIN_S = 90.0


@dataclass(slots=True)
class Stage:
    """The running system and everything that a drill holds in its hands."""

    system: Running
    settings: LocalSettings
    configuration: config.Configuration
    broker: Broker
    postgres: asyncpg.Pool
    simulator: Simulator
    journal: Journal
    load: Load
    worker_crashes: int = 0

    async def figures(self) -> Figures:
        """The state of the run, from the router's views."""
        settled = await self.postgres.fetch(
            "SELECT split_part(settled ->> 'deployment', '/', 1) AS vendor, count(*) FROM router.outcomes GROUP BY 1"
        )
        parked = await self.postgres.fetchval("SELECT coalesce(sum(requests), 0) FROM router.parking")
        counts = {row["vendor"] or "nobody": row["count"] for row in settled}
        return Figures(self.load.sent, sum(counts.values()), parked, counts)

    async def evidence(self) -> Evidence:
        """What the run has left behind."""
        log = read_log(Path(self.system.end_points.vendor_calls))
        calls = [VendorCall(_uuid(c.client_request_id), c.vendor, int(c.received_wall * 1000)) for c in log.values()]
        return await gather(
            self.broker,
            self.postgres,
            self.configuration,
            calls,
            tuple(self.journal.submissions.values()),
            self.journal.received,
            worker_crashes=self.worker_crashes,
        )


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None


@asynccontextmanager
async def stage(system: Running, settings: LocalSettings, per_second: float) -> AsyncGenerator[Stage]:
    """Clients, simulator client and database connection over a running system."""
    ends = system.end_points
    key = system.credentials.key_of(TENANT)
    journal = Journal()
    sdk = AsyncOpenAI(base_url=f"{ends.http}/v1", api_key=key, max_retries=4, timeout=600)
    async with (
        sdk,
        asyncpg.create_pool(ends.postgres, min_size=1, max_size=2) as postgres,
        KafkaBroker(Connection(ends.kafka, client_id="drill")) as broker,
        Simulator(ends.simulators) as simulator,
    ):
        load = Load(KafkaClient(broker.publisher, TENANT, journal), HttpClient(sdk, TENANT, journal), "run", per_second)
        configuration = config.load(settings.config_dir)
        yield Stage(system, settings, configuration, broker, postgres, simulator, journal, load)
        await load.close()


async def tell(on: Stage, screen: Screen) -> Summary:
    """Run the acts under load, wait until all is settled, and check every promise."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(_watch(on, screen))
        sending = group.create_task(on.load.until(stop))
        for act in ACTS:
            await _play(on, act, screen)
        await _kill_each_service(on, screen)
        stop.set()
        await sending
        screen.act("The end: waiting until everything is settled")
        await _settled(on)
        watching.cancel()
    evidence = await on.evidence()
    return summarise(evidence, check(evidence), on.journal.latencies_ms, await verify_audit(on))


async def _play(on: Stage, act: Act, screen: Screen) -> None:
    screen.act(act.title)
    await on.simulator.put_faults(*act.faults)
    await asyncio.sleep(act.seconds)  # an act is a stretch of time, nothing is awaited in it


async def _kill_each_service(on: Stage, screen: Screen) -> None:
    screen.act(KILLS)
    await on.simulator.put_faults(*NORMAL)
    for service in SERVICES:
        screen.note(f"SIGKILL {service.name}")
        on.worker_crashes += service.vendor is not None
        await on.system.supervisor.kill(service.name)
        await on.system.supervisor.until_ready(service.name)


async def _watch(on: Stage, screen: Screen) -> None:
    while True:
        screen.update(await on.figures())
        await asyncio.sleep(0.5)


async def _settled(on: Stage) -> None:
    """Until every accepted request has its outcome, or the time for that is up: the checker then says what is lost."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_SETTLE_WITHIN_S):
            await on.load.answered(_SETTLE_WITHIN_S)
            while (await on.figures()).settled < on.load.sent:
                await asyncio.sleep(0.25)


async def verify_audit(on: Stage) -> str:
    """`verified`, or what the auditor's command says is wrong."""
    code, out = await command(on, "audit", "verify", "--json")
    return "verified" if code == 0 else f"failed: {json.loads(out or '{}').get('faults', out)}"


async def command(on: Stage, *arguments: str) -> tuple[int, str]:
    """Run an `allweather` command against the running system; its exit code and standard output."""
    ends = on.system.end_points
    environment = on.settings.as_environment() | {
        "ALLWEATHER_KAFKA_BOOTSTRAP": ends.kafka,
        "ALLWEATHER_POSTGRES_DSN": ends.postgres,
        "ALLWEATHER_REDIS_URL": ends.redis,
        "ALLWEATHER_SECRET_FILE": str(on.system.credentials.secret_file),
        "ALLWEATHER_AUDIT_KEY_FILE": str(on.system.credentials.secret_file.with_name("audit.key")),
    }
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("allweather"), *arguments, env=environment, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()
