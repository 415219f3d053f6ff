"""The whole worker on a real Kafka and a real Redis, at the simulators."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from msgspec import structs

from allweather.contracts import topics
from allweather.contracts.records import AttemptResult, Dispatch, decode, encode
from allweather.contracts.slip import Priority
from allweather.messaging import Connection, KafkaBroker, Message
from allweather.messaging.testing import eventually
from allweather.messaging.topics import expand, load, provision
from allweather.provider_worker.app import main
from allweather.provider_worker.settings import Settings
from allweather.provider_worker.testing import dispatch_record
from allweather.runtime.service import Service
from allweather.runtime.settings import SettingsError
from allweather.vendorsim.client import Simulator

CONFIG = Path(__file__).parents[3] / "config"
TOPICS = Path(__file__).parents[3] / "infra" / "kafka" / "topics.yaml"
DEPLOYMENT = "openai/gpt-5.2"


@pytest.fixture
def vendor() -> str:
    """A vendor of this test alone, and with it a dispatch topic and a group: the broker is shared."""
    return f"openai-{uuid4().hex[:8]}"


@pytest.fixture
def config_dir(tmp_path: Path, vendor: str) -> Path:
    catalogue = yaml.safe_load((CONFIG / "catalogue.yaml").read_text())
    for each in catalogue["vendors"]:
        each["id"] = vendor if each["id"] == "openai" else each["id"]
    for each in catalogue["deployments"]:
        each["vendor"] = vendor if each["vendor"] == "openai" else each["vendor"]
    (tmp_path / "catalogue.yaml").write_text(yaml.safe_dump(catalogue))
    prices = (CONFIG / "prices.yaml").read_text()
    (tmp_path / "prices.yaml").write_text(prices.replace("\n  openai/", f"\n  {vendor}/"))
    for name in ("routes.yaml", "tenants.yaml"):
        (tmp_path / name).write_text((CONFIG / name).read_text())
    return tmp_path


def settings(own_vendor: str, folder: Path, /, **others: object) -> Settings:
    given: dict[str, object] = {"vendor": own_vendor, "config_dir": folder, "payload_dir": folder, "probe_port": 0}
    return Settings.model_validate({"redis_url": "redis://127.0.0.1:1/0"} | given | others)


@asynccontextmanager
async def running(given: Settings) -> AsyncGenerator[Service[Settings]]:
    service = Service("provider-worker", given)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(service.live(main))
        yield service
        service.stop()


@pytest.fixture
async def broker(kafka_bootstrap: str, vendor: str) -> AsyncGenerator[KafkaBroker]:
    needed = (topics.dispatch(vendor), topics.RESULTS, topics.DELTAS)
    shipped = expand(load(TOPICS), [], [vendor])
    await provision(kafka_bootstrap, [topic for topic in shipped if topic.name in needed])
    async with KafkaBroker(Connection(kafka_bootstrap, "test")) as opened:
        await eventually(lambda: all(opened.partitions(name) for name in needed))
        yield opened


def dispatched(vendor: str, offset: int, **changes: Any) -> Message:
    """The record of an attempt at this test's vendor."""
    record = dispatch_record(DEPLOYMENT, offset=offset, **changes)
    envelope = decode(record.value)
    dispatch = structs.replace(envelope.read(Dispatch), vendor=vendor, attempt_id=uuid4())
    value = encode(envelope.slip, dispatch, body=envelope.body)
    return Message(topics.dispatch(vendor), value, uuid4().hex.encode(), record.headers)


async def results(broker: KafkaBroker, sent: list[Message]) -> dict[bytes | None, list[AttemptResult]]:
    """What is on the result topic about what was sent."""
    keys = {message.key for message in sent}
    found: dict[bytes | None, list[AttemptResult]] = {}
    async for record in broker.read_all([topics.RESULTS]):
        if record.key in keys:
            found.setdefault(record.key, []).append(decode(record.value).read(AttemptResult))
    return found


async def test_every_dispatch_gets_one_result(
    broker: KafkaBroker,
    simulator: Simulator,
    simulators: str,
    kafka_bootstrap: str,
    redis_url: str,
    vendor: str,
    config_dir: Path,
) -> None:
    """Plain and streamed; and each vendor call carries the id of its dispatch record."""
    sent = [dispatched(vendor, n, stream=n % 2 == 0, priority=Priority.BULK) for n in range(24)]
    given = settings(
        vendor, config_dir, kafka_bootstrap=kafka_bootstrap, redis_url=redis_url, vendor_base_url=simulators
    )

    async with running(given):
        await broker.publisher.publish(sent)

        async def all_there() -> bool:
            return len(await results(broker, sent)) == len(sent)

        await eventually(all_there)

    found = await results(broker, sent)
    assert all(len(each) == 1 for each in found.values())
    assert {each[0].failure for each in found.values()} == {None}
    calls = await simulator.calls()
    assert {call.client_request_id for call in calls} == {str(each[0].attempt_id) for each in found.values()}
    assert len(calls) == len(sent)
    assert sum((await broker.lag(f"provider-worker.{vendor}")).values()) == 0


async def test_worker_is_ready_when_kafka_answers(
    broker: KafkaBroker, simulators: str, kafka_bootstrap: str, vendor: str, config_dir: Path
) -> None:
    """Redis is away, and that does not make it unready."""
    given = settings(vendor, config_dir, kafka_bootstrap=kafka_bootstrap, vendor_base_url=simulators)

    async with running(given) as service:

        async def ready() -> bool:
            checks = await service.probes.ready()
            group = await broker.describe_group(f"provider-worker.{vendor}")
            return bool(checks) and all(check == "ok" for check in checks.values()) and bool(group.members)

        await eventually(ready)

    assert service.stopping.is_set()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"vendor": "nobody"}, "VENDOR: 'nobody' is not in the catalogue"),
        ({"config_dir": Path("/nowhere")}, "/nowhere/catalogue.yaml"),
    ],
)
async def test_wrong_settings_are_said_at_start(
    changes: dict[str, object], complaint: str, vendor: str, config_dir: Path
) -> None:
    service = Service("provider-worker", settings(vendor, config_dir, **changes))

    with pytest.raises(SettingsError, match=complaint):
        await main(service)
