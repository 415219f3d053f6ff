"""The adapters on real Postgres and Redis: leases, views, conflicts; and the key file."""

import asyncio
import os
from collections.abc import AsyncGenerator
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from pydantic import SecretStr

from allweather.contracts import headers, ids
from allweather.contracts.config import Configuration
from allweather.contracts.model import digest
from allweather.ingest.adapters.conflicts import RedisConflicts
from allweather.ingest.adapters.key_file import KeyFile
from allweather.ingest.adapters.leases import Leases
from allweather.ingest.adapters.response_table import ResponseTable
from allweather.ingest.adapters.views import ParkingLimits, RouterViews
from allweather.ingest.app import MIGRATIONS
from allweather.ingest.keys import Keyring
from allweather.ingest.responses import Kept
from allweather.runtime.clock import FixedClock
from allweather.runtime.migrations import migrate
from allweather.runtime.postgres import Postgres, open_postgres
from allweather.runtime.redis import guarded_redis
from allweather.runtime.settings import SettingsError

REQUEST = ids.request_id("demo", "k")
KEY, SECOND = "aw_demo_0123456789abcdef", "aw_demo_fedcba9876543210"


@pytest.fixture
async def postgres(postgres_dsn: str) -> AsyncGenerator[Postgres]:
    dsn = SecretStr(postgres_dsn)
    await migrate(dsn, schema="ingest", folder=MIGRATIONS)
    async with open_postgres(dsn, name="test") as postgres:
        await postgres.run(lambda connection: connection.execute("DROP SCHEMA IF EXISTS router CASCADE"))
        await postgres.run(lambda connection: connection.execute("DELETE FROM ingest.doors"))
        yield postgres


# Leases


async def test_doors_spread_over_the_partitions_and_share_when_there_are_too_few(postgres: Postgres):
    leases = Leases(postgres, partitions=2)

    taken = [await leases.take(door, slot) for slot, door in enumerate(["a", "b", "c"])]

    assert sorted(taken[:2]) == [0, 1]
    assert taken[2] == 2 % 2


async def test_a_door_gets_its_own_partition_again_and_gives_it_back(postgres: Postgres):
    leases = Leases(postgres, partitions=2)
    first = await leases.take("a", 0)
    await leases.renew("a")

    assert await leases.take("a", 5) == first
    await leases.give_back("a")
    assert await leases.take("b", 1) == first


async def test_doors_that_come_together_do_not_take_the_same_partition(postgres: Postgres):
    leases = Leases(postgres, partitions=4)

    taken = await asyncio.gather(*(leases.take(f"door-{n}", n) for n in range(4)))

    assert sorted(taken) == [0, 1, 2, 3]


# Views


async def make_views(postgres: Postgres) -> None:
    """The router's views as it publishes them, over one plain table each."""
    for statement in (
        "CREATE SCHEMA router",
        "CREATE TABLE router.outcomes (request_id uuid, tenant text, settled jsonb, reply bytea)",
        "CREATE TABLE router.progress (request_id uuid, state text)",
        "CREATE TABLE router.parking (tenant text, requests bigint, bytes bigint)",
    ):
        await postgres.run(lambda connection, sql=statement: connection.execute(sql))


async def settle(postgres: Postgres, request: UUID) -> None:
    settled = msgspec.json.encode({"outcome": "answered", "status": 200, "model": "m", "attempts": 2, "cost_usd": 0.5})
    await postgres.run(
        lambda connection: connection.execute(
            "INSERT INTO router.outcomes VALUES ($1, 'demo', $2::jsonb, $3)", request, settled.decode(), b'{"a": 1}'
        )
    )


async def test_outcomes_are_found_with_their_exact_bytes(postgres: Postgres):
    await make_views(postgres)
    await settle(postgres, REQUEST)
    views = RouterViews(postgres)

    found = await views.outcomes([REQUEST, ids.request_id("demo", "other")])

    assert list(found) == [REQUEST]
    assert (found[REQUEST].status, found[REQUEST].body, found[REQUEST].outcome) == (200, b'{"a": 1}', "answered")
    assert found[REQUEST].said[headers.COST] == "0.5"


async def test_a_request_is_settled_parked_or_pending(postgres: Postgres):
    await make_views(postgres)
    await settle(postgres, REQUEST)
    parked = ids.request_id("demo", "parked")
    await postgres.run(lambda c: c.execute("INSERT INTO router.progress VALUES ($1, 'parked')", parked))
    views = RouterViews(postgres)

    states = [(await views.status(request)).state for request in (REQUEST, parked, ids.request_id("demo", "new"))]

    assert states == ["settled", "parked", "pending"]


async def test_a_full_parking_lot_is_seen(postgres: Postgres, configuration: Configuration):
    await make_views(postgres)
    await postgres.run(lambda c: c.execute("INSERT INTO router.parking VALUES ('demo', 10000, 5000000)"))
    clock = FixedClock()
    limits = ParkingLimits(configuration, clock.monotonic)
    assert limits.full("demo") is None
    assert limits.wanted

    limits.saw(await RouterViews(postgres).parked())

    assert limits.full("demo") == "10000 requests (4 MiB) of yours wait for vendors already. Try again later."
    assert limits.full("other") is None
    clock.advance(60)
    assert limits.full("demo") is None


# Conflicts


async def test_the_first_body_of_a_key_is_remembered(redis_url: str):
    async with guarded_redis(SecretStr(redis_url), timeout_s=10) as redis:
        conflicts = RedisConflicts(redis)

        first = await conflicts.same_body(REQUEST, digest(b"a"))
        again = await conflicts.same_body(REQUEST, digest(b"a"))
        other = await conflicts.same_body(REQUEST, digest(b"b"))

    assert (first, again, other) == (True, True, False)


async def test_without_redis_nothing_is_a_conflict_here():
    async with guarded_redis(SecretStr("redis://127.0.0.1:1/0")) as redis:
        assert await RedisConflicts(redis).same_body(REQUEST, digest(b"a"))


# Keys


def key_file(path: Path, *keys: str, tenant: str = "demo") -> Path:
    path.write_bytes(msgspec.json.encode({"keys": [{"key": key, "tenant": tenant} for key in keys]}))
    path.chmod(0o600)
    return path


def bearer(key: str) -> bytes:
    return f"Bearer {key}".encode()


async def test_a_key_that_is_taken_out_of_the_file_stops_working(tmp_path: Path, configuration: Configuration):
    keyring, path = Keyring(b"p" * 32), key_file(tmp_path / "keys", KEY, SECOND)
    file = KeyFile(path, keyring, configuration)
    file.read()
    watching = asyncio.create_task(file.watch())
    assert keyring.tenant(bearer(KEY)) == "demo"

    key_file(path, SECOND)

    async with asyncio.timeout(10):
        while keyring.tenant(bearer(KEY)) is not None:
            await asyncio.sleep(0.05)
    assert keyring.tenant(bearer(SECOND)) == "demo"
    watching.cancel()


async def test_a_file_that_breaks_keeps_the_keys_before_it(tmp_path: Path, configuration: Configuration):
    keyring, path = Keyring(b"p" * 32), key_file(tmp_path / "keys", KEY)
    file = KeyFile(path, keyring, configuration)
    file.read()

    path.write_text("{" * 40)
    with pytest.raises(SettingsError, match="not a key file"):
        file.read()

    assert keyring.tenant(bearer(KEY)) == "demo"


@pytest.mark.parametrize(
    ("keys", "tenant", "part"),
    [
        (["short"], "demo", "key 1: not 20 to 256"),
        ([KEY, "with \N{SNOWMAN} inside 0123456789"], "demo", "key 2"),
        ([KEY], "nobody", "no tenant 'nobody'"),
    ],
)
def test_a_faulty_key_is_named_by_its_number_only(
    tmp_path: Path, configuration: Configuration, keys: list[str], tenant: str, part: str
):
    path = key_file(tmp_path / "keys", *keys, tenant=tenant)

    with pytest.raises(SettingsError, match=part) as raised:
        KeyFile(path, Keyring(b"p" * 32), configuration).read()

    assert not any(key in str(raised.value) for key in keys)


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path, configuration: Configuration):
    path = key_file(tmp_path / "keys", KEY)
    os.chmod(path, 0o644)

    with pytest.raises(SettingsError, match="chmod 600"):
        KeyFile(path, Keyring(b"p" * 32), configuration).read()


def test_a_keyring_holds_no_key(configuration: Configuration):
    keyring = Keyring(b"p" * 32)
    keyring.replace(msgspec.json.encode({"keys": [{"key": KEY, "tenant": "demo"}]}), configuration)

    assert KEY not in repr(vars(keyring))
    assert len(keyring) == 1


# Responses


def kept(name: str, previous: str | None = None, tenant: str = "demo") -> Kept:
    return Kept(
        request_id=ids.request_id("demo", name),
        tenant=tenant,
        previous=ids.request_id("demo", previous) if previous else None,
        background=False,
        stream=False,
        store=True,
        created_at_ms=1_000,
        body=b'{"input": "Hi"}',
    )


async def test_a_response_is_found_with_all_on_which_it_builds(postgres: Postgres):
    table = ResponseTable(postgres)
    first, second, third = kept("r1"), kept("r2", "r1"), kept("r3", "r2")
    for each in (third, first, second, second):
        await table.keep(each)

    assert await table.find(second.request_id, "demo") == second
    assert await table.chain(third.request_id, "demo") == [first, second, third]
    assert await table.find(second.request_id, "other") is None
    assert await table.chain(third.request_id, "other") == []


async def test_a_response_is_forgotten_by_its_own_tenant_or_with_age(postgres: Postgres):
    table = ResponseTable(postgres)
    first = kept("r4")
    await table.keep(first)

    assert not await table.forget(first.request_id, "other")
    assert await table.forget(first.request_id, "demo")
    assert not await table.forget(first.request_id, "demo")
    await table.keep(first)
    await table.prune(first.created_at_ms + 1)
    assert await table.find(first.request_id, "demo") is None
