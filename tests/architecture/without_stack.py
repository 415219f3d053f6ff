"""Fixtures of the local stack for an environment without it: tests that ask for them are skipped."""

import pytest

REASON = "needs the local stack"


@pytest.fixture
def stack() -> None:
    pytest.skip(REASON)


@pytest.fixture
def kafka_bootstrap() -> str:
    pytest.skip(REASON)


@pytest.fixture
def postgres_dsn() -> str:
    pytest.skip(REASON)


@pytest.fixture
def redis_url() -> str:
    pytest.skip(REASON)


def pytest_configure(config: pytest.Config) -> None:
    """The markers that the root's configuration would declare together with the stack."""
    config.addinivalue_line("markers", "stack: needs the local stack")
