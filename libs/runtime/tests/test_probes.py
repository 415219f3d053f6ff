"""What an orchestrator hears, over real sockets."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest
from prometheus_client import Counter

from allweather.runtime.clock import FixedClock
from allweather.runtime.probes import Probes


class Answer(NamedTuple):
    status: int
    headers: str
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def say(port: int, request: bytes) -> Answer:
    """What the server on `port` answers to these bytes, until it closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        head, _, body = (await asyncio.wait_for(reader.read(), 10)).partition(b"\r\n\r\n")
    finally:
        writer.close()
    return Answer(int(head.split(b" ")[1]), head.decode(), body)


async def get(probes: Probes, path: str) -> Answer:
    return await say(probes.port, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
async def probes(clock: FixedClock) -> AsyncIterator[Probes]:
    probes = Probes({"service": "router", "instance": 0}, clock=clock, ping_timeout_s=0.05)
    async with probes.serving("127.0.0.1", 0):
        yield probes


async def well() -> None:
    """A resource that answers."""


async def ill() -> None:
    raise ConnectionRefusedError("nobody listens")


async def hanging() -> None:
    await asyncio.Event().wait()


async def test_a_process_that_has_opened_nothing_yet_is_alive_but_not_ready(probes: Probes):
    assert (await get(probes, "/livez")).json == {"alive": True, "hanging": {}}

    answer = await get(probes, "/readyz")
    assert (answer.status, answer.json) == (503, {"ready": False, "checks": {"process": "starting"}})


async def test_a_process_is_ready_when_every_check_is_well(probes: Probes):
    probes.register("kafka", well)
    probes.register("postgres", well)

    answer = await get(probes, "/readyz")

    assert answer.status == 200
    assert answer.json == {"ready": True, "checks": {"process": "ok", "kafka": "ok", "postgres": "ok"}}


async def test_readiness_says_which_check_fails_and_why(probes: Probes):
    probes.register("kafka", well)
    probes.register("postgres", ill)
    probes.register("redis", hanging)

    answer = await get(probes, "/readyz")

    assert answer.status == 503
    assert answer.json == {
        "ready": False,
        "checks": {
            "process": "ok",
            "kafka": "ok",
            "postgres": "ConnectionRefusedError: nobody listens",
            "redis": "TimeoutError",
        },
    }


async def test_a_dependency_that_is_away_does_not_make_a_process_dead(probes: Probes):
    probes.register("postgres", ill)

    assert (await get(probes, "/livez")).status == 200


async def test_a_loop_that_hangs_makes_a_process_dead_until_it_turns_again(probes: Probes, clock: FixedClock):
    beat = probes.heartbeat("consumer", limit_s=30)
    clock.advance(30)
    assert (await get(probes, "/livez")).status == 200

    clock.advance(1)
    answer = await get(probes, "/livez")
    assert (answer.status, answer.json["hanging"]) == (503, {"consumer": "no beat for 31 s"})

    beat.beat()
    assert (await get(probes, "/livez")).status == 200


async def test_a_stopping_process_is_alive_but_not_ready(probes: Probes):
    probes.register("kafka", well)

    probes.stop()

    assert (await get(probes, "/readyz")).json == {"ready": False, "checks": {"process": "stopping", "kafka": "ok"}}
    assert (await get(probes, "/livez")).status == 200


async def test_a_name_can_be_taken_only_once(probes: Probes):
    probes.register("kafka", well)
    probes.heartbeat("consumer")

    with pytest.raises(ValueError, match="registered already"):
        probes.register("kafka", well)
    with pytest.raises(ValueError, match="registered already"):
        probes.heartbeat("consumer")


async def test_metrics_are_in_the_form_that_prometheus_reads(probes: Probes):
    Counter("test_probed", "Counts.").inc(3)

    answer = await get(probes, "/metrics")

    assert "content-type: text/plain" in answer.headers.lower()
    assert b"test_probed_total 3.0" in answer.body


async def test_info_says_which_process_this_is(probes: Probes):
    assert (await get(probes, "/info")).json == {"service": "router", "instance": 0}


async def test_a_query_does_not_change_the_path(probes: Probes):
    assert (await get(probes, "/livez?verbose=1")).status == 200


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /nowhere HTTP/1.1\r\n\r\n", 404),
        (b"POST /livez HTTP/1.1\r\n\r\n", 405),
        (b"nonsense\r\n\r\n", 400),
        (b"GET /livez HTTP/9\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nX: " + b"x" * 9000 + b"\r\n\r\n", 431),
    ],
)
async def test_what_is_not_a_probe_is_told_so(probes: Probes, request_bytes: bytes, status: int):
    assert (await say(probes.port, request_bytes)).status == status


async def test_head_gives_the_head_alone(probes: Probes):
    answer = await say(probes.port, b"HEAD /livez HTTP/1.1\r\n\r\n")

    assert (answer.status, answer.body) == (200, b"")
    assert "Content-Length: 31" in answer.headers


async def test_a_client_that_says_nothing_or_leaves_does_not_stand_in_the_way(probes: Probes):
    _, silent = await asyncio.open_connection("127.0.0.1", probes.port)
    _, leaving = await asyncio.open_connection("127.0.0.1", probes.port)
    leaving.write(b"GET /li")
    leaving.transport.abort()

    assert (await get(probes, "/livez")).status == 200
    silent.close()
