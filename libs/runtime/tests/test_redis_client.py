"""The client of Redis: what travels together, whom a mistake concerns, and when Redis is of no use."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from redis.exceptions import ResponseError

from allweather.runtime.redis_client import (
    Answer,
    Command,
    Line,
    RedisClient,
    RedisRefused,
    RedisUnusable,
    dialling,
    packed,
)


class Recorder:
    """A connection that notes each exchange, and answers when it is told to."""

    def __init__(self) -> None:
        self.broken = False
        self.exchanges: list[list[str]] = []
        self.may_answer = asyncio.Event()
        self.dies_of: Exception | None = None

    async def dial(self) -> Line:
        return self

    async def exchange(self, commands: Sequence[Command]) -> list[Answer]:
        if self.dies_of:
            raise self.dies_of
        self.exchanges.append([str(command[1]) for command in commands])
        await self.may_answer.wait()
        return [ResponseError("no") if command[1] == "wrong" else command[1] for command in commands]

    def drop(self) -> None:
        self.broken = True


@pytest.fixture
async def line() -> Recorder:
    return Recorder()


@pytest.fixture
async def client(line: Recorder) -> AsyncIterator[RedisClient]:
    client = RedisClient(line.dial, timeout_s=10)
    yield client
    await client.close()


def test_commands_are_written_with_the_lengths_of_their_words() -> None:
    """In bytes, which are more than the letters; a number is its digits."""
    written = packed([("SET", "clé", b"\x00\r\n", "PX", 15), ("PING",)])

    first = b"*5\r\n$3\r\nSET\r\n$4\r\ncl\xc3\xa9\r\n$3\r\n\x00\r\n\r\n$2\r\nPX\r\n$2\r\n15\r\n"
    assert written == first + b"*1\r\n$4\r\nPING\r\n"


async def test_what_is_asked_during_an_exchange_goes_with_the_next(line: Recorder, client: RedisClient):
    first = client.ask([("ECHO", "a")])
    while not line.exchanges:
        await asyncio.sleep(0)
    others = [client.ask([("ECHO", "b"), ("ECHO", "c")]), client.ask([("ECHO", "d")])]
    line.may_answer.set()

    assert await asyncio.gather(first, *others) == [["a"], ["b", "c"], ["d"]]
    assert line.exchanges == [["a"], ["b", "c", "d"]]


async def test_what_can_wait_goes_with_what_cannot(line: Recorder, client: RedisClient):
    line.may_answer.set()
    patient = client.ask([("ECHO", "a")], within_s=3600)
    hurried = client.ask([("ECHO", "b")])

    assert await asyncio.gather(patient, hurried) == [["a"], ["b"]]
    assert line.exchanges == [["a", "b"]]


async def test_what_can_wait_goes_by_itself_when_its_time_has_come(line: Recorder, client: RedisClient):
    line.may_answer.set()

    assert await client.ask([("ECHO", "a")], within_s=0.001) == ["a"]


async def test_a_wrong_command_fails_only_whoever_asked_it(line: Recorder, client: RedisClient):
    line.may_answer.set()
    good, wrong, last = (client.ask([("ECHO", word)]) for word in ("good", "wrong", "last"))

    assert await asyncio.gather(good, last) == [["good"], ["last"]]
    with pytest.raises(RedisRefused, match="no"):
        await wrong


async def test_whatever_a_connection_dies_of_those_who_wait_hear_of_it(line: Recorder, client: RedisClient):
    """Also of what the library does not know itself; the next command gets another connection."""
    line.dies_of, line.broken = RuntimeError("the transport is closed"), True
    lost = client.ask([("ECHO", "a")])

    with pytest.raises(RedisUnusable):
        await lost

    line.dies_of = None
    line.may_answer.set()
    assert await client.ask([("ECHO", "b")]) == ["b"]


async def test_whoever_no_longer_waits_costs_the_others_nothing(line: Recorder, client: RedisClient):
    gone, still_here = client.ask([("ECHO", "a")]), client.ask([("ECHO", "b")])
    gone.cancel()
    line.may_answer.set()

    assert await still_here == ["b"]


async def test_closing_fails_what_is_under_way_and_what_waits(line: Recorder, client: RedisClient):
    under_way = client.ask([("ECHO", "a")])
    while not line.exchanges:
        await asyncio.sleep(0)
    waiting = client.ask([("ECHO", "b")])

    await client.close()

    assert line.broken
    for asked in (under_way, waiting):
        with pytest.raises(ConnectionAbortedError):
            await asked


async def test_the_address_names_the_database(redis_url: str):
    """Tests have databases of their own: what is written in one is not in another."""
    address, _, database = redis_url.rpartition("/")
    here, elsewhere = (RedisClient(dialling(f"{address}/{number}"), timeout_s=5) for number in (database, "63"))
    try:
        await here.ask([("SET", "only here", "1")])

        assert await elsewhere.ask([("GET", "only here")]) == [None]
        assert await here.ask([("GET", "only here")]) == [b"1"]
    finally:
        await here.close()
        await elsewhere.close()


async def test_a_password_that_is_not_taken_makes_redis_unusable_and_is_not_repeated(redis_url: str):
    client = RedisClient(dialling(redis_url.replace("redis://", "redis://somebody:pa55@")), timeout_s=5)

    with pytest.raises(RedisUnusable) as refused:
        await client.ask([("PING",)])

    assert "pa55" not in str(refused.value)
    await client.close()


async def test_a_server_that_is_no_redis_is_unusable():
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        client = RedisClient(dialling(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"), timeout_s=5)

        with pytest.raises(RedisUnusable):
            await client.ask([("PING",)])
        await client.close()
