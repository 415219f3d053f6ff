"""A running system with clients in hand: where drills and end-to-end tests stand."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

import asyncpg
from openai import AsyncOpenAI

from allweather.contracts import config
from allweather.drills.clients import HttpClient, KafkaClient
from allweather.drills.evidence import Evidence, VendorCall
from allweather.drills.gather import gather
from allweather.drills.journal import Journal, now_ms
from allweather.local.running import Running
from allweather.local.settings import LocalSettings
from allweather.messaging import Broker
from allweather.messaging.kafka import Connection, KafkaBroker
from allweather.vendorsim.calls import CallRecord, read_log
from allweather.vendorsim.client import Simulator

TENANT: Final = "demo"


@dataclass(slots=True)
class Stage:
    """The running system and everything that a drill holds in its hands."""

    system: Running
    settings: LocalSettings
    configuration: config.Configuration
    broker: Broker
    postgres: asyncpg.Pool
    simulator: Simulator
    sdk: AsyncOpenAI
    journal: Journal
    since_ms: int
    worker_crashes: int = 0
    away_ms: int = 0
    """For how long a server that everything needs was away."""

    @property
    def kafka(self) -> KafkaClient:
        """An application that publishes to the request topic."""
        return KafkaClient(self.broker.publisher, TENANT, self.journal)

    @property
    def http(self) -> HttpClient:
        """An application that uses the official SDK."""
        return HttpClient(self.sdk, TENANT, self.journal)

    async def unsettled(self, requests: Iterable[UUID]) -> set[UUID]:
        """Those of `requests` that have no outcome yet."""
        asked = set(requests)
        rows = await self.postgres.fetch(
            "SELECT request_id FROM router.outcomes WHERE request_id = ANY($1)", list(asked)
        )
        return asked - {row["request_id"] for row in rows}

    async def settled(self, within_s: float, requests: Iterable[UUID] = ()) -> set[UUID]:
        """Wait until the requests (all that were sent, by default) have their outcomes; returns those that do not."""
        asked = set(requests) or set(self.journal.submissions)
        deadline = now_ms() + within_s * 1000
        while (left := await self.unsettled(asked)) and now_ms() < deadline:
            await asyncio.sleep(0.1)
        return left

    async def kill(self, name: str) -> None:
        """SIGKILL a service and wait until its successor is ready."""
        self.worker_crashes += name.startswith("provider-worker.")
        await self.system.supervisor.kill(name)
        await self.system.supervisor.until_ready(name)

    async def evidence(self) -> Evidence:
        """What has been left behind since this stage was set."""
        log = read_log(Path(self.system.end_points.vendor_calls))
        calls = [_vendor_call(record) for record in log.values()]
        return await gather(
            self.broker,
            self.postgres,
            self.configuration,
            calls,
            tuple(self.journal.submissions.values()),
            self.journal.received,
            worker_crashes=self.worker_crashes,
            away_ms=self.away_ms,
            since_ms=self.since_ms,
        )


def _vendor_call(record: CallRecord) -> VendorCall:
    took = None if record.ended_monotonic is None else record.ended_monotonic - record.received_monotonic
    return VendorCall(
        attempt_id=_uuid(record.client_request_id),
        vendor=record.vendor,
        at_ms=int(record.received_wall * 1000),
        ended_at_ms=None if took is None else int((record.received_wall + took) * 1000),
        status=record.status,
    )


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None


@asynccontextmanager
async def stage(system: Running, settings: LocalSettings) -> AsyncGenerator[Stage]:
    """Clients, simulator client and database connection over a running system."""
    ends = system.end_points
    key = system.credentials.key_of(TENANT)
    async with (
        AsyncOpenAI(base_url=f"{ends.http}/v1", api_key=key, max_retries=4, timeout=600) as sdk,
        asyncpg.create_pool(ends.postgres, min_size=1, max_size=2) as postgres,
        KafkaBroker(Connection(ends.kafka, client_id="drill")) as broker,
        Simulator(ends.simulators) as simulator,
    ):
        configuration = config.load(settings.config_dir)
        yield Stage(system, settings, configuration, broker, postgres, simulator, sdk, Journal(), now_ms())
