"""Redis and Postgres that go away and come back, through a connection that the test can cut."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from pydantic import SecretStr

from allweather.runtime.clock import FixedClock
from allweather.runtime.postgres import Connection, DependencyAway, Postgres, open_postgres
from allweather.runtime.redis import AWAY, RedisGuard, guarded_redis
from allweather.runtime.redis_client import RedisRefused


class Relay:
    """A TCP connection to `host:port` that a test can cut, silence and mend."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._pipes: set[asyncio.Task[None]] = set()
        self.silent = False
        self.port = 0
        self.accepted = 0

    async def open(self) -> None:
        """Let connections through (again), on the same port as before."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Refuse new connections and break those that exist."""
        if self._server is not None:
            self._server.close()
        for pipe in self._pipes:
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        for source, target in ((reader, far_writer), (far_reader, writer)):
            pipe = asyncio.create_task(self._pump(source, target))
            self._pipes.add(pipe)
            pipe.add_done_callback(self._pipes.discard)

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError):
                while data := await source.read(65536):
                    if not self.silent:
                        target.write(data)
                        await target.drain()
        finally:
            target.close()


@pytest.fixture
async def relay() -> AsyncIterator[Callable[[str, int], Awaitable[Relay]]]:
    """Opens relays, and cuts them after the test."""
    relays: list[Relay] = []

    async def through(host: str, port: int) -> Relay:
        relays.append(Relay(host, port))
        await relays[-1].open()
        return relays[-1]

    yield through
    for opened in relays:
        await opened.cut()


def through(relay: Relay, url: str) -> SecretStr:
    """`url` with the relay in place of its server."""
    parts = urlsplit(url)
    user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    return SecretStr(urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{relay.port}")))


def target(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


async def until(so: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something is so, at most 10 s."""
    async with asyncio.timeout(10):
        while not await so():
            await asyncio.sleep(0.01)


class Count:
    """Counts what is reported to it."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


@pytest.fixture
async def redis_line(redis_url: str) -> AsyncIterator[Relay]:
    relay = Relay(*target(redis_url))
    await relay.open()
    yield relay
    await relay.cut()


@pytest.fixture
def misses() -> Count:
    return Count()


@pytest.fixture
async def redis(redis_line: Relay, redis_url: str, misses: Count) -> AsyncIterator[RedisGuard]:
    async with guarded_redis(through(redis_line, redis_url), on_away=misses) as guard:
        yield guard


async def test_a_call_gives_the_answer_of_redis(redis: RedisGuard, misses: Count):
    await redis.call("SET", "health:a", "3")

    assert await redis.call("GET", "health:a") == b"3"
    assert not redis.away
    assert misses.times == 0


async def test_a_pipeline_gives_every_answer_in_one_round_trip(redis: RedisGuard):
    answers = await redis.pipeline(("INCRBY", "a", 2), ("INCRBY", "a", 3), ("GET", "none"))

    assert answers == [2, 5, None]


async def test_a_wrong_command_is_our_error_and_not_an_absence(redis: RedisGuard):
    await redis.call("SET", "text", "x")

    with pytest.raises(RedisRefused):
        await redis.call("INCR", "text")
    assert not redis.away


async def test_redis_that_goes_away_costs_no_error_and_its_return_is_noticed(
    redis: RedisGuard, redis_line: Relay, misses: Count
):
    await redis.call("SET", "a", "1")

    await redis_line.cut()
    assert await redis.call("GET", "a") is AWAY
    assert redis.away
    assert misses.times > 0
    with pytest.raises(Exception, match=r"onnect"):
        await redis.ping()

    await redis_line.open()

    async def answered() -> bool:
        return await redis.call("GET", "a") == b"1"

    await until(answered)
    assert not redis.away
    await redis.ping()


async def test_a_guard_opens_where_there_is_no_redis(unused_tcp_port: int):
    async with guarded_redis(SecretStr(f"redis://127.0.0.1:{unused_tcp_port}")) as guard:
        assert await guard.call("GET", "a") is AWAY


async def test_while_redis_is_silent_only_one_call_in_each_rest_waits_for_it(redis_line: Relay, redis_url: str):
    """Its clock stands still, so the rest never ends: of a hundred calls the first alone reaches the connection."""
    clock = FixedClock()
    async with guarded_redis(through(redis_line, redis_url), timeout_s=0.05, rest_s=0.5, clock=clock) as guard:
        redis_line.silent = True

        assert {await guard.call("GET", "a") for _ in range(100)} == {AWAY}
        assert redis_line.accepted == 1

        clock.advance(0.5)
        assert {await guard.call("GET", "a") for _ in range(100)} == {AWAY}
        assert redis_line.accepted == 2


@pytest.fixture
async def postgres_line(postgres_dsn: str) -> AsyncIterator[Relay]:
    relay = Relay(*target(postgres_dsn))
    await relay.open()
    yield relay
    await relay.cut()


@pytest.fixture
async def postgres(postgres_line: Relay, postgres_dsn: str, misses: Count) -> AsyncIterator[Postgres]:
    async with open_postgres(through(postgres_line, postgres_dsn), name="router-0", on_away=misses) as opened:
        yield opened


async def test_work_gives_its_result_under_the_name_of_the_service(postgres: Postgres):
    assert await postgres.run(lambda c: c.fetchval("SHOW application_name")) == "router-0"
    await postgres.ping()


async def test_a_transaction_is_kept_whole_or_not_at_all(postgres: Postgres):
    await postgres.run(lambda c: c.execute("CREATE TABLE IF NOT EXISTS whole (x int)"))

    async def half(connection: Connection) -> None:
        await connection.execute("INSERT INTO whole VALUES (1)")
        raise LookupError

    with pytest.raises(LookupError):
        await postgres.transact(half)
    assert await postgres.run(lambda c: c.fetchval("SELECT count(*) FROM whole")) == 0


async def test_a_wrong_statement_is_our_error_and_not_an_absence(postgres: Postgres, misses: Count):
    with pytest.raises(asyncpg.UndefinedTableError):
        await postgres.run(lambda c: c.fetch("SELECT * FROM nowhere"))
    with pytest.raises(asyncpg.InterfaceError):
        await postgres.run(lambda c: c.fetchval("SELECT $1::int"))
    assert misses.times == 0


async def test_postgres_that_goes_away_is_a_dependency_away_and_its_return_is_noticed(
    postgres: Postgres, postgres_line: Relay, misses: Count
):
    await postgres.ping()

    await postgres_line.cut()
    with pytest.raises(DependencyAway, match="postgres"):
        await postgres.ping()
    assert misses.times == 1

    await postgres_line.open()
    assert await postgres.run(lambda c: c.fetchval("SELECT 1")) == 1


@pytest.mark.parametrize("in_transaction", [False, True])
async def test_a_connection_that_dies_under_the_work_has_the_work_run_again(postgres: Postgres, in_transaction: bool):
    runs: list[int] = []

    async def dying_once(connection: Connection) -> int:
        runs.append(connection.get_server_pid())
        if len(runs) == 1:
            with suppress(asyncpg.PostgresError):
                await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return await connection.fetchval("SELECT 7")

    answer = await (postgres.transact(dying_once) if in_transaction else postgres.run(dying_once))

    assert answer == 7
    assert len(set(runs)) == 2


@pytest.mark.parametrize("in_transaction", [False, True])
async def test_a_connection_in_a_state_that_asyncpg_does_not_understand_is_given_up(
    postgres: Postgres, in_transaction: bool
):
    """As it was seen to leave one behind when the network reset it in the middle of an answer."""
    runs: list[int] = []

    async def confused_once(connection: Connection) -> int:
        runs.append(connection.get_server_pid())
        if len(runs) == 1:
            raise asyncpg.InternalClientError("cannot switch to state 12; protocol is in the failed state")
        return await connection.fetchval("SELECT 7")

    answer = await (postgres.transact(confused_once) if in_transaction else postgres.run(confused_once))

    assert answer == 7
    assert len(set(runs)) == 2


async def server_pid(connection: Connection) -> int:
    return await connection.fetchval("SELECT pg_backend_pid()")


async def test_one_work_after_another_is_done_on_one_connection(postgres: Postgres):
    assert await postgres.run(server_pid) == await postgres.run(server_pid)


async def test_more_work_than_connections_waits_for_its_turn(postgres_dsn: str):
    async with asyncio.timeout(10), open_postgres(SecretStr(postgres_dsn), name="x", connections=2) as postgres:
        pids = await asyncio.gather(*(postgres.run(server_pid) for _ in range(20)))

        assert len(set(pids)) == 2


async def test_the_only_connection_of_a_pool_is_nobodys_between_two_works(postgres_dsn: str):
    async with asyncio.timeout(10), open_postgres(SecretStr(postgres_dsn), name="x", connections=1) as postgres:
        await postgres.ping()

        async with postgres.pool.acquire() as connection:
            assert await connection.fetchval("SELECT 1") == 1


async def test_work_that_leaves_its_transaction_open_has_it_rolled_back(postgres: Postgres):
    await postgres.run(lambda c: c.execute("CREATE TABLE IF NOT EXISTS unfinished (x int)"))

    await postgres.run(lambda c: c.execute("BEGIN; INSERT INTO unfinished VALUES (1)"))

    assert await postgres.run(lambda c: c.fetchval("SELECT count(*) FROM unfinished")) == 0


async def test_the_server_asks_after_clients_that_are_silent(postgres_dsn: str) -> None:
    async with open_postgres(SecretStr(postgres_dsn), name="x") as postgres:
        asked_after_s = await postgres.run(lambda c: c.fetchval("SHOW tcp_keepalives_idle"))

    assert asked_after_s == "5"


async def test_a_statement_that_outlasts_its_limit_may_be_tried_again(postgres_dsn: str):
    class TryAgain(Exception):
        """What the consumer of this service understands."""

    async with open_postgres(SecretStr(postgres_dsn), name="x", statement_timeout_s=0.05, away=TryAgain) as postgres:
        with pytest.raises(TryAgain):
            await postgres.run(lambda c: c.execute("SELECT pg_sleep(60)"))


async def test_a_service_waits_for_postgres_to_come_up(postgres_line: Relay, postgres_dsn: str):
    await postgres_line.cut()
    async with AsyncExitStack() as stack:
        opening = asyncio.create_task(
            stack.enter_async_context(open_postgres(through(postgres_line, postgres_dsn), name="x"))
        )
        await asyncio.wait([opening], timeout=0.2)
        assert not opening.done()

        await postgres_line.open()
        await (await opening).ping()


async def test_closing_does_not_wait_for_postgres_that_is_gone(
    postgres_line: Relay, postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("allweather.runtime.postgres.CLOSE_LIMIT_S", 0.05)

    async with asyncio.timeout(10), open_postgres(through(postgres_line, postgres_dsn), name="x") as postgres:
        await postgres.ping()
        postgres_line.silent = True
