"""One simulation per test, on a port of its own, with its call log in the test's folder."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from allweather.vendorsim.client import Simulator
from allweather.vendorsim.server import Simulation
from allweather.vendorsim.settings import Settings


@pytest.fixture
def call_log(tmp_path: Path) -> Path:
    return tmp_path / "calls.jsonl"


@pytest.fixture
async def base_url(call_log: Path) -> AsyncIterator[str]:
    async with Simulation(Settings(port=0, call_log=call_log)) as simulation:
        yield simulation.base_url


@pytest.fixture
async def http(base_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=base_url, timeout=10, trust_env=False) as client:
        yield client


@pytest.fixture
async def simulator(base_url: str) -> AsyncIterator[Simulator]:
    async with Simulator(base_url) as client:
        yield client
