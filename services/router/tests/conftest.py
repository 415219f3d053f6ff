"""A router on real tables, or on the memory's."""

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from allweather.messaging import TransientError
from allweather.router.adapters.parked import ParkedQueue
from allweather.router.adapters.steps import StepTable
from allweather.router.app import MIGRATIONS
from allweather.router.testing.memory import MemoryTables
from allweather.router.testing.records import configuration
from allweather.router.testing.world import World
from allweather.runtime.migrations import migrate
from allweather.runtime.postgres import Postgres, open_postgres


@pytest.fixture
async def postgres(postgres_dsn: str) -> AsyncIterator[Postgres]:
    """A database with the router's tables, empty."""
    dsn = SecretStr(postgres_dsn)
    await migrate(dsn, schema="router", folder=MIGRATIONS)
    async with open_postgres(dsn, name="router-test", away=TransientError) as opened:
        await opened.pool.execute("TRUNCATE router.steps, router.parked, router.waiters")
        yield opened


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.stack)])
def world(request: pytest.FixtureRequest) -> World:
    """A router over either kind of tables: the memory's keep what Postgres promises."""
    if request.param == "memory":
        tables = MemoryTables()
        return World(tables, tables, configuration())
    postgres: Postgres = request.getfixturevalue("postgres")
    return World(StepTable(postgres), ParkedQueue(postgres), configuration())
