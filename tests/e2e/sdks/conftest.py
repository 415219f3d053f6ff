"""The official clients at the doors of the whole system, one vendor after another: what passes fills the matrix."""

import sys
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import cast

import anthropic
import openai
import pytest
import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))

from matrix import cells, page
from matrix.cells import VENDORS, Cell
from speaking import Door, Vendor, as_async, standing

from allweather.contracts import config
from allweather.drills.stage import TENANT
from allweather.local.running import Running
from allweather.local.settings import LocalSettings

PASSED = pytest.StashKey[list[Cell]]()
ELSEWHERE = {"gpt": "anthropic", "claude": "openai"}
"""Clients with an asynchronous and a synchronous form -> the vendor at which the synchronous one asks."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--matrix", metavar="FOLDER", help="write the support matrix of the tests that passed")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[PASSED] = []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every vendor is asked by the asynchronous client, one by the synchronous: the door cannot tell them apart."""
    client = next((name for name in ELSEWHERE if name in metafunc.fixturenames), None)
    if client and "vendor" in metafunc.fixturenames:
        asked = [*(("async", vendor) for vendor in VENDORS), ("sync", ELSEWHERE[client])]
        metafunc.parametrize((client, "vendor"), asked, indirect=True)
    elif client:
        metafunc.parametrize(client, ("async", "sync"), indirect=True)
    elif "vendor" in metafunc.fixturenames:
        metafunc.parametrize("vendor", VENDORS, indirect=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    mark, sdk = item.get_closest_marker("supports"), item.get_closest_marker("sdk")
    if report.when == "call" and report.passed and mark is not None and sdk is not None:
        api, feature = mark.args
        function = cast("pytest.Function", item)
        vendor = cast("Vendor | None", function.funcargs.get("vendor"))
        at, refused = ("", None) if vendor is None else (vendor.id, vendor.refused)
        test = f"{item.path.name}::{function.originalname}"
        item.config.stash[PASSED].append(Cell(sdk.args[0], api, feature, at, test, refused))
    return report


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    folder: str | None = session.config.getoption("--matrix", default=None)
    if folder and exitstatus == pytest.ExitCode.OK:
        matrix = cells.of(session.config.stash[PASSED])
        cells.save(matrix, Path(folder))
        page.save(matrix, Path(folder))


@pytest.fixture(scope="session")
def configuration(settings: LocalSettings) -> config.Configuration:
    return config.load(settings.config_dir)


@pytest.fixture
def vendor(request: pytest.FixtureRequest, configuration: config.Configuration) -> Vendor:
    """One vendor after another."""
    return standing(request.param, configuration)


@pytest.fixture(scope="session")
def door(system: Running) -> Door:
    return Door(system.end_points.http, system.credentials.key_of(TENANT))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def gpt(request: pytest.FixtureRequest, door: Door) -> AsyncGenerator[openai.AsyncOpenAI]:
    """The clients of OpenAI."""
    if request.param == "async":
        async with openai.AsyncOpenAI(base_url=f"{door.url}/v1", api_key=door.key, max_retries=0) as client:
            yield client
    else:
        with openai.OpenAI(base_url=f"{door.url}/v1", api_key=door.key, max_retries=0) as client:
            yield as_async(client)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def claude(request: pytest.FixtureRequest, door: Door) -> AsyncGenerator[anthropic.AsyncAnthropic]:
    """The clients of Anthropic."""
    if request.param == "async":
        async with anthropic.AsyncAnthropic(base_url=door.url, api_key=door.key, max_retries=0) as client:
            yield client
    else:
        with anthropic.Anthropic(base_url=door.url, api_key=door.key, max_retries=0) as client:
            yield as_async(client)
