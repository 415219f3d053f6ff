"""The official clients at the doors of the whole system, one vendor after another: what passes fills the matrix."""

import sys
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any, cast

import anthropic
import openai
import pytest
import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))

from matrix import cells, page
from matrix.cells import VENDORS, Cell
from speaking import InThread, Vendor, standing

from allweather.contracts import config
from allweather.drills.stage import TENANT
from allweather.local.running import Running
from allweather.local.settings import LocalSettings

PASSED = pytest.StashKey[list[Cell]]()
WAYS = ("async", "sync")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--matrix", metavar="FOLDER", help="write the support matrix of the tests that passed")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[PASSED] = []


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


@pytest.fixture(params=VENDORS)
def vendor(request: pytest.FixtureRequest, configuration: config.Configuration) -> Vendor:
    """One vendor after another."""
    return standing(request.param, configuration)


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=WAYS)
async def gpt(request: pytest.FixtureRequest, system: Running) -> AsyncGenerator[openai.AsyncOpenAI]:
    """The clients of OpenAI."""
    key, url = system.credentials.key_of(TENANT), f"{system.end_points.http}/v1"
    if request.param == "async":
        async with openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0, timeout=60) as client:
            yield client
    else:
        with openai.OpenAI(base_url=url, api_key=key, max_retries=0, timeout=60) as client:
            yield as_async(client)


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=WAYS)
async def claude(request: pytest.FixtureRequest, system: Running) -> AsyncGenerator[anthropic.AsyncAnthropic]:
    """The clients of Anthropic."""
    key, url = system.credentials.key_of(TENANT), system.end_points.http
    if request.param == "async":
        async with anthropic.AsyncAnthropic(base_url=url, api_key=key, max_retries=0, timeout=60) as client:
            yield client
    else:
        with anthropic.Anthropic(base_url=url, api_key=key, max_retries=0, timeout=60) as client:
            yield as_async(client)


def as_async(client: Any) -> Any:
    return InThread(client)
