"""A bench for workers in front of the vendor simulators, with a Redis that is away."""

import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from allweather.contracts import config
from allweather.provider_worker.adapters.http import transport
from allweather.provider_worker.testing import NO_REDIS, TIMEOUTS, Bench
from allweather.runtime.redis import guarded_redis

if TYPE_CHECKING:
    from allweather.vendorsim.client import Simulator

# The simulators are no dependency of the service: where it stands alone, these tests cannot run.
collect_ignore = (
    []
    if find_spec("allweather.vendorsim")
    else [
        "test_app.py",
        "test_calls.py",
        "test_credentials.py",
        "test_embeddings.py",
        "test_handlers.py",
        "test_tool_loops.py",
    ]
)
settings.register_profile("patient", deadline=None)  # how long an example takes says nothing about its fact
settings.load_profile("patient")

CONFIG = Path(__file__).parents[3] / "config"


@pytest.fixture(scope="session")
def configuration() -> config.Configuration:
    """The catalogue as it is delivered, with limits of time that a test can wait for."""
    delivered = config.load(CONFIG)
    routes = tuple(route.model_copy(update={"timeouts": TIMEOUTS}) for route in delivered.routes)
    return delivered.model_copy(update={"routes": routes})


@pytest.fixture(scope="session")
def simulators() -> Generator[str]:
    """The address of the vendor simulators, which run as a process of their own."""
    program = [sys.executable, "-m", "allweather.vendorsim", "--port", "0"]
    with subprocess.Popen(program, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        yield next(line.split()[-1] for line in running.stderr if "listens at" in line)
        running.terminate()


@pytest.fixture
async def simulator(simulators: str) -> "AsyncGenerator[Simulator]":
    """The simulators, without faults and without a memory of other tests."""
    from allweather.vendorsim.client import Simulator

    async with Simulator(simulators) as client:
        await client.clear_faults()
        await client.forget_calls()
        yield client


@pytest.fixture
async def bench(configuration: config.Configuration, simulators: str, simulator: "Simulator") -> AsyncGenerator[Bench]:
    async with transport(2.0) as vendors, guarded_redis(NO_REDIS) as away:
        yield Bench(configuration, vendors, away, simulators)
