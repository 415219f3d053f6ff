"""Configuration is validated as a whole, and every fault is named."""

from pathlib import Path
from typing import Any

import pytest

from allweather.contracts import config

ROOT = Path(__file__).parents[3]
VENDOR = {"id": "v", "api": "openai", "provider_name": "openai", "simulator_path": "/v"}


def _deployment(name: str, **changed: Any) -> dict[str, Any]:
    return {
        "id": name,
        "vendor": "v",
        "model": "m",
        "endpoint": "http://localhost",
        "credential": "V_KEY",
        "context_tokens": 1000,
        "max_output_tokens": 100,
        "price": {"input": 1, "output": 2},
    } | changed


def _parse(deployments: list[Any], routes: list[Any] | None = None) -> config.Configuration:
    return config.parse({"vendors": [VENDOR], "deployments": deployments}, {"routes": routes or []}, {"tenants": []})


def test_the_shipped_configuration_is_valid() -> None:
    shipped = config.load(ROOT / "config")

    assert shipped.route("triage") is not None
    assert {d.region for d in shipped.deployments if d.vendor == "azure-openai"} == {
        "australiaeast", "centralus", "eastus2", "koreacentral", "norwayeast", "swedencentral", "uksouth",
    }  # fmt: skip


def test_a_model_is_a_route_to_all_its_deployments() -> None:
    route = _parse([_deployment("a"), _deployment("b"), _deployment("c", model="other")]).route("m")

    assert route is not None
    assert route.candidates == ("a", "b")


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(config.InvalidConfiguration) as caught:
        _parse([_deployment("a", vendor="nobody"), _deployment("a")], [{"id": "r", "candidates": ["x"]}])

    for fault in ("deployment a: declared 2 times", "unknown vendor nobody", "route r: unknown deployment x"):
        assert fault in str(caught.value)


def _embedding(name: str, **changed: Any) -> dict[str, Any]:
    return _deployment(name, capabilities=["embeddings"], max_output_tokens=0) | changed


def test_a_route_falls_back_among_deployments_of_one_embedding_model_only() -> None:
    """Vectors of different models do not compare: an index that holds both is broken without anybody seeing it."""
    same = [{"id": "r", "candidates": ["a", "b"]}]

    assert _parse([_embedding("a"), _embedding("b")], same).route("r") is not None
    with pytest.raises(config.InvalidConfiguration, match="route r: vectors of different models do not compare: m, n"):
        _parse([_embedding("a"), _embedding("b", model="n")], same)
    with pytest.raises(config.InvalidConfiguration, match="route r: vectors of different models"):
        _parse([_embedding("a"), _deployment("b", model="n")], same)


@pytest.mark.parametrize(
    ("deployment", "fault"),
    [
        (_embedding("a", capabilities=["embeddings", "tools"]), "a model that embeds does nothing else"),
        (_embedding("a", max_output_tokens=1), "a model that embeds does nothing else"),
        (_deployment("a", max_output_tokens=0), "max_output_tokens is missing"),
    ],
)
def test_a_model_embeds_or_talks(deployment: dict[str, Any], fault: str) -> None:
    with pytest.raises(config.InvalidConfiguration, match=fault):
        _parse([deployment])


def test_an_unknown_field_is_refused_by_name() -> None:
    with pytest.raises(config.InvalidConfiguration, match=r"deployments\.0\.contxt_tokens"):
        _parse([_deployment("a", contxt_tokens=5)])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(config.InvalidConfiguration, match=r"catalogue\.yaml: No such file"):
        config.load(tmp_path)


def test_a_file_that_is_not_yaml_is_named(tmp_path: Path) -> None:
    (tmp_path / "catalogue.yaml").write_text("a: [")

    with pytest.raises(config.InvalidConfiguration, match=r"catalogue\.yaml: not YAML"):
        config.load(tmp_path)


def test_the_digest_changes_with_any_value_and_only_then() -> None:
    one, same = _parse([_deployment("a")]), _parse([_deployment("a")])
    other = _parse([_deployment("a", price={"input": 1, "output": 3})])

    assert one.digest == same.digest != other.digest


def test_a_price_is_the_deployment_s_own_or_that_of_its_vendor_and_model() -> None:
    catalogue = {"vendors": [VENDOR], "deployments": [_deployment("a"), _deployment("b")]}
    del catalogue["deployments"][1]["price"]

    found = config.parse(
        catalogue, {"routes": []}, {"tenants": []}, {"prices": {"v/m": {"input": 7, "source": "a list"}}}
    )

    assert [(d.price.input, d.price.source) for d in found.deployments] == [(1, "catalogue"), (7, "a list")]
    with pytest.raises(config.InvalidConfiguration, match=r"deployments\.1\.price: .*run `make prices`"):
        config.parse(catalogue, {"routes": []}, {"tenants": []})
