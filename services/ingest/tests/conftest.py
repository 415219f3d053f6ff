"""An open door, and the official SDK in front of it."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from allweather.contracts import config
from allweather.contracts.config import Configuration
from allweather.ingest.testing import KEY, Site, opened

OpenSite = Callable[..., AbstractAsyncContextManager[Site]]


@pytest.fixture(scope="session")
def configuration() -> Configuration:
    return config.load(Path(__file__).parents[3] / "config")


@pytest.fixture
def open_site(configuration: Configuration) -> OpenSite:
    return partial(opened, configuration)


@pytest.fixture
async def site(open_site: OpenSite) -> AsyncGenerator[Site]:
    async with open_site() as site:
        yield site


@pytest.fixture
async def http(site: Site) -> AsyncGenerator[httpx.AsyncClient]:
    """A plain client that bears the tenant's key."""
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(base_url=site.base_url, headers=headers, timeout=20) as client:
        yield client


@pytest.fixture
def sdk() -> Callable[..., openai.AsyncOpenAI]:
    """The official SDK at a site; it repeats nothing by itself unless told to."""

    def client(site: Site, **options: Any) -> openai.AsyncOpenAI:
        given: dict[str, Any] = {"base_url": f"{site.base_url}/v1", "api_key": KEY, "max_retries": 0, "timeout": 20}
        return openai.AsyncOpenAI(**(given | options))

    return client
