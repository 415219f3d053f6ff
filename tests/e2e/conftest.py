"""One whole system for all end-to-end tests: real Kafka, Postgres and Valkey, simulators, every service a process."""

import inspect
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from allweather.contracts import config
from allweather.drills.acts import NORMAL
from allweather.drills.stage import Stage, stage
from allweather.local.plan import Options
from allweather.local.running import Running, running
from allweather.local.settings import LocalSettings


@pytest.hookimpl(tryfirst=True)  # before xdist looks for groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker("e2e")
            item.add_marker(pytest.mark.xdist_group("system"))  # one whole system, in one worker process
            if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
                item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


CONFIG = LocalSettings().config_dir


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> LocalSettings:
    state = tmp_path_factory.mktemp("system")
    return LocalSettings(state_dir=state, port_base=0, vendors="simulated", config_dir=_with_routes(state / "config"))


def _with_routes(folder: Path) -> Path:
    """The configuration of the repository, and for each vendor a route of its own and one in which it is the first.

    And one to its vectors; to another of its models where it makes none.
    """
    shutil.copytree(CONFIG, folder)
    routes = yaml.safe_load((folder / "routes.yaml").read_text())
    deployments = config.load(CONFIG).deployments
    standing = {each.vendor: each.id for each in reversed(deployments) if not each.embeds}
    embedding = {each.vendor: each.id for each in reversed(deployments) if each.embeds}
    for vendor, deployment in standing.items():
        others = [each for each in standing.values() if each != deployment]
        routes["routes"] += [
            {"id": f"only-{vendor}", "candidates": [deployment]},
            {"id": f"first-{vendor}", "candidates": [deployment, *others]},
            {"id": f"embeds-{vendor}", "candidates": [embedding.get(vendor, deployment)]},
        ]
    (folder / "routes.yaml").write_text(yaml.safe_dump(routes))
    rule = {
        "id": "vendors",
        "when": 'tenant == "demo" && route.matches("^(only|first|embeds)-")',
        "effect": "permit",
    }
    (folder / "policies" / "vendors.yaml").write_text(yaml.safe_dump({"rules": [rule]}))
    return folder


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def system(settings: LocalSettings) -> AsyncGenerator[Running]:
    """The running system. Breaker and slow-start times are a tenth of what they are in operation."""
    options = Options(durable=False, environment={"ALLWEATHER_TIME_FACTOR": "0.1"})
    async with running(settings, options, lambda _line: None) as up:
        yield up


@pytest_asyncio.fixture(loop_scope="session")
async def on(system: Running, settings: LocalSettings) -> AsyncGenerator[Stage]:
    """A fresh stage on the system: vendors well, an empty journal."""
    async with stage(system, settings) as ready:
        await ready.simulator.put_faults(*NORMAL)
        yield ready
        await ready.simulator.put_faults()
