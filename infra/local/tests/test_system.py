import json
import os
from pathlib import Path

import httpx
import pytest
import yaml

from allweather.contracts import config, topics
from allweather.local.child import Program
from allweather.local.credentials import Credentials, development_keys
from allweather.local.plan import Options, Plan
from allweather.local.settings import REPOSITORY, LocalSettings
from allweather.local.state import StateFolder
from allweather.local.supervisor import Supervisor
from allweather.local.system import SIMULATED, services

TENANTS = ("demo", "other")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither keys of real vendors nor settings of the person who runs the tests."""
    for name in list(os.environ):
        if name.startswith(("ALLWEATHER_", "ANTHROPIC_", "OPENAI_", "AZURE_", "GOOGLE_", "OPEN_SOURCE_")):
            monkeypatch.delenv(name)


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    return Credentials.ensure(tmp_path, TENANTS)


def plan(options: Options | None = None) -> Plan:
    return Plan(LocalSettings(), options or Options(), lambda _: None)


def by_name(programs: list[Program]) -> dict[str, Program]:
    return {program.name: program for program in programs}


def test_every_service_and_every_vendor_that_is_routed_to_is_a_process_of_its_own(credentials: Credentials) -> None:
    names = set(by_name(plan().services(credentials)))

    assert {"ingest", "policy", "router", "audit-sink"} <= names
    shipped = config.load(REPOSITORY / "config")
    vendors = {shipped.deployment(c).vendor for route in shipped.routes for c in route.candidates}
    assert {f"provider-worker.{vendor}" for vendor in vendors} == names - {"ingest", "policy", "router", "audit-sink"}


def test_no_two_processes_share_a_port(credentials: Credentials) -> None:
    names = [service.name for service in services(config.load(REPOSITORY / "config"))]
    replicas = dict.fromkeys(names, 3)
    whole = plan(Options(brokers=3, replicas=replicas))
    programs = whole.services(credentials)

    ports = [program.port for program in [*whole.servers(), whole.simulators(credentials)]]
    ports += [int(program.environment["ALLWEATHER_PROBE_PORT"]) for program in programs]
    assert len(ports) == len(set(ports)) == 3 + 2 + 1 + 3 * len(names)


def test_a_replica_is_told_its_slot(credentials: Credentials) -> None:
    programs = by_name(plan(Options(replicas={"router": 3})).services(credentials))

    slots = [programs[name].environment["ALLWEATHER_INSTANCE"] for name in ("router", "router-1", "router-2")]
    assert slots == ["0", "1", "2"]


def test_no_replica_of_a_service_is_none(credentials: Credentials) -> None:
    assert "policy" not in by_name(plan(Options(replicas={"policy": 0})).services(credentials))


@pytest.mark.parametrize(
    ("vendor", "variable"),
    [
        ("openai", "OPENAI_API_KEY"),
        ("azure-openai", "AZURE_OPENAI_UKSOUTH_API_KEY"),
        ("open-source", "OPEN_SOURCE_BASE_URL"),
    ],
)
def test_a_worker_calls_the_simulators_unless_its_vendor_has_a_key_or_an_address(
    credentials: Credentials, monkeypatch: pytest.MonkeyPatch, vendor: str, variable: str
) -> None:
    monkeypatch.setenv(variable, "real")

    workers = by_name(plan().services(credentials))

    simulated = {name for name, worker in workers.items() if "ALLWEATHER_VENDOR_BASE_URL" in worker.environment}
    assert simulated == {name for name in workers if name.startswith("provider-worker.")} - {
        f"provider-worker.{vendor}"
    }


def test_a_vendor_to_which_nothing_is_routed_has_a_worker_once_it_has_a_key(
    credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = by_name(plan().services(credentials))
    monkeypatch.setenv("MISTRAL_API_KEY", "real")
    after = by_name(plan().services(credentials))

    assert set(after) - set(before) == {"provider-worker.mistral"}
    assert "ALLWEATHER_VENDOR_BASE_URL" not in after["provider-worker.mistral"].environment


def test_another_address_of_a_vendor_alone_does_not_leave_the_simulators(
    credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "https://proxy.example")

    worker = by_name(plan().services(credentials))["provider-worker.anthropic"]

    assert worker.environment["ALLWEATHER_VENDOR_BASE_URL"] == "http://127.0.0.1:8451"


def test_a_person_can_insist_on_the_simulators(credentials: Credentials, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real")
    monkeypatch.setenv("ALLWEATHER_VENDORS", "simulated")

    worker = by_name(plan().services(credentials))["provider-worker.openai"]

    assert worker.environment["ALLWEATHER_VENDOR_BASE_URL"] == "http://127.0.0.1:8452"


@pytest.mark.stack
async def test_every_worker_is_sent_to_the_port_of_its_own_vendor(credentials: Credentials, tmp_path: Path) -> None:
    whole = Plan(LocalSettings(state_dir=tmp_path, port_base=0), Options(), lambda _: None)
    async with Supervisor(StateFolder(tmp_path), lambda _: None) as supervisor:
        await supervisor.start(whole.simulators(credentials))
        async with httpx.AsyncClient() as client:
            health = (await client.get(f"{whole.end_points.simulators}/readyz")).json()

    sent = {name: worker.environment for name, worker in by_name(whole.services(credentials)).items()}
    told = {name: given["ALLWEATHER_VENDOR_BASE_URL"] for name, given in sent.items() if "VENDOR" in given}
    open_ports = {f"provider-worker.{vendor}": f"http://127.0.0.1:{port}" for vendor, port in health["ports"].items()}
    assert tuple(health["ports"]) == SIMULATED
    assert told == {name: open_ports[name] for name in told}


def test_options_add_variables_to_the_services(credentials: Credentials) -> None:
    (ingest, *_) = plan(Options(environment={"ALLWEATHER_TIME_FACTOR": "0.1"})).services(credentials)

    assert ingest.environment["ALLWEATHER_TIME_FACTOR"] == "0.1"


@pytest.mark.parametrize(
    ("variable", "value", "left_out"),
    [
        ("ALLWEATHER_KAFKA_BOOTSTRAP", "kafka.example:9092", "kafka-1"),
        ("ALLWEATHER_POSTGRES_DSN", "postgresql://postgres.example/x", "postgres"),
        ("ALLWEATHER_REDIS_URL", "redis://redis.example/0", "valkey"),
    ],
)
def test_a_dependency_that_is_named_is_used_and_not_started(
    credentials: Credentials, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, left_out: str
) -> None:
    monkeypatch.setenv(variable, value)

    assert set(by_name(plan().servers())) == {"kafka-1", "postgres", "valkey"} - {left_out}
    assert all(program.environment[variable] == value for program in plan().services(credentials))


def test_a_chosen_port_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLWEATHER_KAFKA_PORT", "29092")

    assert plan().end_points.kafka == "127.0.0.1:29092"


def test_secrets_are_for_their_owner_only_and_outlive_a_restart(tmp_path: Path, credentials: Credentials) -> None:
    before = credentials.secret_file.read_text(), credentials.keys_file.read_text()

    again = Credentials.ensure(tmp_path, TENANTS)

    assert (again.secret_file.read_text(), again.keys_file.read_text()) == before
    assert {again.secret_file.stat().st_mode & 0o777, again.keys_file.stat().st_mode & 0o777} == {0o600}
    assert len(bytes.fromhex(before[0])) == 32


def test_every_tenant_has_a_development_key_of_its_own(credentials: Credentials) -> None:
    keys = development_keys(credentials.keys_file)

    assert set(keys) == set(TENANTS)
    assert len(set(keys.values())) == len(TENANTS)
    assert all(key.startswith("aw_") and len(key) == 3 + 43 for key in keys.values())
    assert [entry["tenant"] for entry in json.loads(credentials.keys_file.read_text())["keys"]] == list(TENANTS)


def test_the_topic_file_has_every_topic_of_the_contracts() -> None:
    spec = yaml.safe_load((REPOSITORY / "infra" / "kafka" / "topics.yaml").read_text())
    written = {entry["name"] for entry in spec["topics"]} | {
        entry["name"].format(tenant="demo", vendor="vertex") for entry in spec["templates"]
    }

    named = {name for name in vars(topics).values() if isinstance(name, str) and name.startswith("ai.")}
    filled = {topics.requests("demo"), topics.replies("demo"), topics.deltas("demo"), topics.dispatch("vertex")}
    assert written == {name for name in named if name.endswith(".v1")} | filled


def test_commands_are_told_what_the_services_are_told(credentials: Credentials) -> None:
    told = plan().variables(credentials)

    assert all(told.items() <= dict(program.environment).items() for program in plan().services(credentials))
    assert {"ALLWEATHER_POSTGRES_DSN", "ALLWEATHER_KAFKA_BOOTSTRAP", "ALLWEATHER_AUDIT_KEY_FILE"} <= set(told)
