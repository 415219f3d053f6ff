"""The fixtures that every package's tests may use."""

# pyright: reportUnknownMemberType=false
# (redis leaves its keyword arguments untyped)

import asyncpg
import pytest
from redis.asyncio import Redis

from allweather.local.probes import ready


async def test_the_broker_is_real(kafka_bootstrap: str) -> None:
    assert await ready(f"kafka://{kafka_bootstrap}")


async def test_a_module_has_an_empty_database_of_its_own(postgres_dsn: str) -> None:
    connection = await asyncpg.connect(postgres_dsn)
    tables = await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
    await connection.close()

    assert tables == 0


@pytest.mark.parametrize("round_", [1, 2])
async def test_the_redis_database_is_empty_before_each_test(redis_url: str, round_: int) -> None:
    async with Redis.from_url(redis_url) as client:
        assert await client.dbsize() == 0

        await client.set("left by the test before", round_)


def test_a_test_that_uses_a_server_is_marked(request: pytest.FixtureRequest, redis_url: str) -> None:
    assert request.node.get_closest_marker("stack")


def test_a_test_that_uses_none_is_not_marked(request: pytest.FixtureRequest) -> None:
    assert not request.node.get_closest_marker("stack")
