"""Fixtures over a real Kafka, Postgres and Valkey, which are started once per test run, when the first test asks.

The worker processes of a parallel run share them. They end with the run, even when it is killed. A test that uses one
of the fixtures carries the marker `stack`.
"""

import asyncio
import fcntl
import os
import shutil
import tempfile
import uuid
from collections.abc import Coroutine, Generator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import pytest

from allweather.local.settings import LocalSettings
from allweather.local.system import Servers

FIXTURES = frozenset({"stack", "kafka_bootstrap", "postgres_dsn", "redis_url"})
# Databases of Valkey below this are left alone: they may be somebody's.
_FIRST_DATABASE = 8

T = TypeVar("T")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("stack")


def pytest_unconfigure(config: pytest.Config) -> None:
    """The run is over in every worker: what it started goes away."""
    if not _is_worker(config) and _folder(config).exists():
        from allweather.local import detached

        detached.down(_settings(config))
        shutil.rmtree(_folder(config))


@pytest.fixture(scope="session")
def stack(pytestconfig: pytest.Config) -> Generator[Servers]:
    """Where to reach a real Kafka, Postgres and Valkey."""
    if LocalSettings().stack == "docker":
        from allweather.local.containers import containers

        with containers() as end_points:
            yield end_points
    else:
        yield _native(pytestconfig)


@pytest.fixture(scope="session")
def kafka_bootstrap(stack: Servers) -> str:
    """A real broker. It is shared: give topics and groups names of your own."""
    return stack.kafka


@pytest.fixture(scope="module")
def postgres_dsn(stack: Servers) -> Generator[str]:
    """An empty database of this test module."""
    database = f"test_{uuid.uuid4().hex}"
    _run(_execute(stack.postgres, f'CREATE DATABASE "{database}" STRATEGY file_copy'))
    yield urlunsplit(urlsplit(stack.postgres)._replace(path=f"/{database}"))
    _run(_execute(stack.postgres, f'DROP DATABASE "{database}" WITH (FORCE)'))


@pytest.fixture
def redis_url(stack: Servers) -> str:
    """A database of this worker process, emptied before the test."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    url = urlunsplit(urlsplit(stack.redis)._replace(path=f"/{_FIRST_DATABASE + worker}"))
    _run(_flush(url))
    return url


def _native(config: pytest.Config) -> Servers:
    from allweather.local import detached
    from allweather.local.plan import Options

    settings = _settings(config)
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    with (settings.state_dir / "start.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not detached.status(settings)["up"]:
            options = Options(stack_only=True, topics=False, durable=False, owner=_controller(config))
            detached.up(settings, options, lambda _: None)
    found = detached.status(settings)
    return Servers(kafka=found["kafka"], postgres=found["postgres"], redis=found["redis"])


def _settings(config: pytest.Config) -> LocalSettings:
    return LocalSettings(state_dir=_folder(config), port_base=0)


def _folder(config: pytest.Config) -> Path:
    return Path(tempfile.gettempdir()) / f"allweather-tests-{os.getuid()}-{_controller(config)}"


def _controller(config: pytest.Config) -> int:
    """The process that all workers of this run have in common."""
    return os.getppid() if _is_worker(config) else os.getpid()


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


async def _execute(dsn: str, statement: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _flush(url: str) -> None:
    from redis.asyncio import Redis

    async with Redis.from_url(url) as client:  # pyright: ignore[reportUnknownMemberType] - redis leaves **kwargs untyped
        await client.flushdb()  # pyright: ignore[reportUnknownMemberType] - redis leaves **kwargs untyped


def _run(work: Coroutine[Any, Any, T]) -> T:
    """In a loop of its own, which the tests' loops never see."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()
