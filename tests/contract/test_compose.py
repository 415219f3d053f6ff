"""docker-compose.yml describes the same system as the native process list."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from allweather.contracts import config
from allweather.local.system import services

ROOT = Path(__file__).parents[2]
SERVERS = {"kafka", "postgres", "valkey"}
ONE_SHOT = {"setup"}
CONFIGURATION = config.load(ROOT / "config")
SERVICES = services(CONFIGURATION, [vendor.id for vendor in CONFIGURATION.vendors])
STARTED = {service.name for service in services(CONFIGURATION)}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def test_the_containers_are_the_native_processes(compose: dict[str, Any]) -> None:
    native = {"vendorsim", *(service.name for service in SERVICES)}

    assert set(compose["services"]) - SERVERS - ONE_SHOT == native


def test_a_profile_is_what_starts_a_worker_to_which_nothing_is_routed(compose: dict[str, Any]) -> None:
    profiles = {service.name: compose["services"][service.name].get("profiles", []) for service in SERVICES}

    assert profiles == {s.name: [] if s.name in STARTED else [s.vendor] for s in SERVICES}


def test_every_image_of_ours_is_built_from_a_folder_that_exists(compose: dict[str, Any]) -> None:
    built = {name: s["build"]["args"]["SERVICE"] for name, s in compose["services"].items() if "build" in s}

    for name, service in built.items():
        folders = [p for p in ("services", "libs", "infra") if (ROOT / p / service / "pyproject.toml").exists()]
        assert len(folders) == 1, f"{name}: no single folder {service}"


def test_each_process_has_the_vendor_and_the_allocator_of_its_native_twin(compose: dict[str, Any]) -> None:
    for service in SERVICES:
        environment = compose["services"][service.name].get("environment", {})
        assert environment.get("VENDOR") == service.vendor
        assert environment.get("PYTHONMALLOC") == service.allocator


def test_services_wait_for_topics_and_secrets(compose: dict[str, Any]) -> None:
    for service in SERVICES:
        conditions = compose["services"][service.name]["depends_on"]
        assert conditions["setup"]["condition"] == "service_completed_successfully"


def test_dependencies_and_volumes_are_declared(compose: dict[str, Any]) -> None:
    names, volumes = set(compose["services"]), set(compose["volumes"])
    for name, service in compose["services"].items():
        assert set(service.get("depends_on", {})) <= names, name
        assert {v.split(":")[0] for v in service.get("volumes", [])} <= volumes, name
