"""The system under load: everything that `allweather up` starts, in a folder of its own, over the fixed upstream."""

import asyncio
import shutil
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg
import yaml

from allweather.local.plan import Options
from allweather.local.running import Running, running
from allweather.local.settings import LocalSettings
from allweather.messaging.kafka import Connection, KafkaBroker
from bench.measure import Reading

TENANT: Final = "demo"
UPSTREAM: Final = "upstream"
"""Its share is read along, to know what the machine was busy with, and is not part of what a request costs."""

_HEAP_MB: Final = 512
_PARTITIONS: Final = 2
"""One for each processor: more of them make smaller batches, and every fetch names all of them."""
_UNUSED: Final = "vendorsim"
"""Started with everything else, and asked by nobody: the upstream stands in its place."""
_CONFIG: Final = Path(__file__).parent / "config"
_QUIET_WITHIN_S: Final = 60.0
_LOOK_S: Final = 0.2
_GROUPS: Final = ("policy", "router", "provider-worker.open-source", "audit-sink")
_UNPUBLISHED: Final = "SELECT coalesce(sum(size - published), 0) FROM audit.trees"
_OUTCOMES: Final = "SELECT count(*) FROM router.outcomes"


class NotQuiet(Exception):
    """The system did not come to rest, or a process of it died: figures would mean nothing."""


@dataclass(frozen=True, slots=True)
class Bench:
    """The running system, and what measures it."""

    system: Running
    broker: KafkaBroker
    postgres: asyncpg.Pool
    upstream_url: str
    upstream_pid: int

    @property
    def url(self) -> str:
        return self.system.end_points.http

    @property
    def key(self) -> str:
        return self.system.credentials.key_of(TENANT)

    def pids(self) -> dict[str, int]:
        """Our processes and the servers beneath them: what a request costs is what these spend.

        Raises `NotQuiet` when one has died since the start.
        """
        parts = {name: part for name, part in self.system.supervisor.snapshot().items() if name != _UNUSED}
        dead = [name for name, part in parts.items() if part["restarts"] or not part["pid"]]
        if dead:
            raise NotQuiet(f"{', '.join(dead)} died; see the logs in {_state_dir() / 'logs'}")
        return {name: part["pid"] for name, part in parts.items()}

    def reading(self) -> Reading:
        return Reading.of({**self.pids(), UPSTREAM: self.upstream_pid})

    async def outcomes(self) -> int:
        """How many requests have been settled so far."""
        return await self.postgres.fetchval(_OUTCOMES)

    async def quiet(self) -> None:
        """Return once every record is consumed and audited, and every audit entry published. Raises `NotQuiet`."""
        try:
            async with asyncio.timeout(_QUIET_WITHIN_S):
                looks = 0
                while looks < 2:  # between two topics a record is in no group's lag
                    looks = looks + 1 if await self._left() == 0 else 0
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            raise NotQuiet(f"{await self._left()} records are left after {_QUIET_WITHIN_S:g} s") from None

    async def _left(self) -> int:
        lags = [await self.broker.lag(group) for group in _GROUPS]
        return sum(sum(lag.values()) for lag in lags) + await self.postgres.fetchval(_UNPUBLISHED)


@asynccontextmanager
async def started(report: Callable[[str], None]) -> AsyncGenerator[Bench]:
    """Everything up, on free ports and with empty tables; gone when left. Raises `StackError`."""
    settings = _settings()
    await asyncio.to_thread(_clean, settings)
    async with _upstream() as (url, pid):
        options = Options(environment={"OPEN_SOURCE_BASE_URL": url, "OPEN_SOURCE_API_KEY": "bench"})
        async with running(settings, options, report) as system:
            ends = system.end_points
            async with (
                asyncpg.create_pool(ends.postgres, min_size=1, max_size=1) as postgres,
                KafkaBroker(Connection(ends.kafka, client_id="bench")) as broker,
            ):
                yield Bench(system, broker, postgres, url, pid)


def _settings() -> LocalSettings:
    """Nothing of the environment counts but where jars are kept and come from: figures are to be comparable."""
    usual = LocalSettings()
    own = LocalSettings.model_construct(
        state_dir=_state_dir(),
        config_dir=_CONFIG,
        topics_file=_state_dir() / "topics.yaml",
        port_base=0,
        kafka_heap_mb=_HEAP_MB,
        kafka_compilers=2,
        cache_dir=usual.cache_dir,
    )
    return own.model_copy(update={"jar_repository": usual.jar_repository})


def _clean(settings: LocalSettings) -> None:
    """Empty the state folder but for the topics, which are the usual ones with partitions of our own number."""
    shutil.rmtree(settings.state_dir, ignore_errors=True)
    topics = yaml.safe_load(LocalSettings().topics_file.read_text())
    topics["defaults"]["partitions"] = _PARTITIONS
    settings.state_dir.mkdir(parents=True)
    settings.topics_file.write_text(yaml.safe_dump(topics))


def _state_dir() -> Path:
    return LocalSettings().state_dir / "bench"


@asynccontextmanager
async def _upstream() -> AsyncGenerator[tuple[str, int]]:
    command = (sys.executable, "-m", "bench.upstream")
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        port = int(await process.stdout.readline())
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        await process.wait()
