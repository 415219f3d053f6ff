"""The program as it is started: options, environment, ports of its own, signals."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import get_args

import httpx
import pytest

from allweather.vendorsim.calls import read_log
from allweather.vendorsim.client import Simulator
from allweather.vendorsim.faults import Refuse, VendorName
from allweather.vendorsim.server import Simulation
from allweather.vendorsim.settings import Settings
from allweather.vendorsim.vendors import NAMES

CHAT = "/openai/v1/chat/completions"
BODY = b'{"model":"gpt-5.2","messages":[{"role":"user","content":"Hello"}]}'


@asynccontextmanager
async def program(*options: str, **environment: str) -> AsyncGenerator[tuple[asyncio.subprocess.Process, str]]:
    """Start the program on a free port; yield it and its address once it says that it listens."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "allweather.vendorsim", *options,
        env={**os.environ, **environment}, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        async with asyncio.timeout(20):
            line = await process.stderr.readline()
        yield process, line.decode().split()[-1]
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_sigterm_ends_the_program_cleanly(tmp_path: Path) -> None:
    log = tmp_path / "calls.jsonl"
    async with program("--port", "0", "--call-log", str(log)) as (process, base_url):
        async with httpx.AsyncClient(base_url=base_url, trust_env=False) as http:
            await http.post(CHAT, headers={"authorization": "Bearer k"}, content=BODY)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            code = await process.wait()

    assert code == 0
    assert read_log(log)[1].status == 200


async def test_sigkill_loses_no_recorded_call(tmp_path: Path) -> None:
    log = tmp_path / "calls.jsonl"
    async with program(ALLWEATHER_SIM_PORT="0", ALLWEATHER_SIM_CALL_LOG=str(log)) as (process, base_url):
        async with httpx.AsyncClient(base_url=base_url, trust_env=False) as http:
            for _ in range(5):
                await http.post(CHAT, headers={"authorization": "Bearer k"}, content=BODY)
        process.kill()

    *answered, last = [record.status for record in read_log(log).values()]
    assert answered == [200] * 4
    assert last in (200, None), "its answer was sent; that it ended may not have been noted yet"


@pytest.mark.parametrize(
    ("options", "code"),
    [(["--port", "many"], 2), (["--latency-profile", "/no/such/file"], 2), (["--help"], 0)],
)
async def test_options_are_checked_before_anything_listens(options: list[str], code: int) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "allweather.vendorsim", *options,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, complaint = await process.communicate()

    assert process.returncode == code
    assert output or complaint
    assert b"Traceback" not in complaint


async def test_taken_port_is_said_and_ends_the_program() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "allweather.vendorsim", "--port", str(taken.getsockname()[1]),
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _, complaint = await process.communicate()

    assert process.returncode == 1
    assert b"Traceback" not in complaint


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/_admin/health"])
async def test_health_is_served(http: httpx.AsyncClient, path: str) -> None:
    response = await http.get(path)

    assert response.status_code == 200
    assert response.json()["prefixes"] == {name: f"/{prefix}" for name, prefix in NAMES.items()}
    assert response.json()["prefixes"]["azure-openai"] == "/azure"


async def test_unknown_path_is_404(http: httpx.AsyncClient) -> None:
    assert (await http.get("/nothing")).status_code == 404


async def test_own_port_refuses_to_connect_while_the_vendor_refuses_and_serves_again_after() -> None:
    async with (
        Simulation(Settings(port=0, port_per_vendor=True)) as simulation,
        Simulator(simulation.base_url) as simulator,
        httpx.AsyncClient(headers={"authorization": "Bearer k"}, trust_env=False) as http,
    ):
        ports = (await simulator.health()).ports
        url = f"http://127.0.0.1:{ports['openai']}{CHAT}"
        assert (await http.post(url, content=BODY)).status_code == 200

        await simulator.put_faults(Refuse(vendor="openai"))
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", ports["openai"])
        with pytest.raises(httpx.ConnectError):
            await http.post(url, content=BODY)
        _, other = await asyncio.open_connection("127.0.0.1", ports["anthropic"])
        other.close()

        await simulator.clear_faults()
        assert (await http.post(url, content=BODY)).status_code == 200


async def test_open_connections_are_dropped_when_the_listener_goes() -> None:
    async with (
        Simulation(Settings(port=0, port_per_vendor=True)) as simulation,
        Simulator(simulation.base_url) as simulator,
    ):
        port = (await simulator.health()).ports["vertex"]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")

        await simulator.put_faults(Refuse())

        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), 5)
        writer.close()


async def test_latency_profile_is_read_from_a_file(tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps([{"kind": "latency", "vendor": "openai", "first_token_ms": {"p50": 60, "p99": 60}}]))
    async with (
        Simulation(Settings(port=0, latency_profile=str(profile))) as simulation,
        httpx.AsyncClient(base_url=simulation.base_url, trust_env=False) as http,
        Simulator(simulation.base_url) as simulator,
    ):
        await http.post(CHAT, headers={"authorization": "Bearer k"}, content=BODY)
        (call,) = await simulator.calls()

    assert call.ended_monotonic is not None
    assert call.ended_monotonic - call.received_monotonic >= 0.06


def test_typical_profile_names_every_vendor() -> None:
    vendors = {latency.vendor for latency in Settings(latency_profile="typical").latencies()}

    assert vendors == set(NAMES) == set(get_args(VendorName))
