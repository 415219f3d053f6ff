"""The schemas say what the models accept; a change that old records would not survive is seen."""

import copy
from typing import Any

import jsonschema
import pytest

from allweather.contracts.compatibility import backward_faults
from allweather.contracts.examples import all_examples
from allweather.contracts.records import EventType
from allweather.contracts.schemas import schema


@pytest.mark.parametrize("example", all_examples(), ids=lambda e: f"{e.event}-{e.headers['ce_id'][:8]}")
def test_every_example_satisfies_its_schema(example: Any) -> None:
    jsonschema.validate(example.to_plain()["value"], schema(example.event))


def test_every_event_has_an_example() -> None:
    assert {e.event for e in all_examples()} == set(EventType)


def test_a_schema_is_compatible_with_itself() -> None:
    assert all(backward_faults(schema(e), schema(e)) == [] for e in EventType)


def _slip(changed: dict[str, Any]) -> dict[str, Any]:
    return changed["$defs"]["Slip"]


def test_a_new_required_field_is_a_fault() -> None:
    new = copy.deepcopy(schema(EventType.CLEARED))
    _slip(new)["properties"]["purpose"] = {"type": "string"}
    _slip(new)["required"].append("purpose")

    assert backward_faults(schema(EventType.CLEARED), new) == ["$.slip.purpose: is required now"]


def test_a_new_optional_field_is_no_fault() -> None:
    new = copy.deepcopy(schema(EventType.CLEARED))
    _slip(new)["properties"]["purpose"] = {"type": "string"}

    assert backward_faults(schema(EventType.CLEARED), new) == []


def test_a_narrowed_enumeration_is_a_fault() -> None:
    new = copy.deepcopy(schema(EventType.ATTEMPTED))
    new["$defs"]["FailureKind"]["enum"].remove("refused")

    assert any("refused" in fault for fault in backward_faults(schema(EventType.ATTEMPTED), new))


def test_another_default_is_a_fault() -> None:
    new = copy.deepcopy(schema(EventType.CLEARED))
    _slip(new)["properties"]["episode"]["default"] = 2

    assert backward_faults(schema(EventType.CLEARED), new) == ["$.slip.episode: what is not there was 1, is 2 now"]


def test_a_changed_type_is_a_fault() -> None:
    new = copy.deepcopy(schema(EventType.CLEARED))
    _slip(new)["properties"]["accepted_at_ms"]["type"] = "string"

    assert backward_faults(schema(EventType.CLEARED), new) == ["$.slip.accepted_at_ms: was integer, is string now"]


def test_dropping_null_from_a_union_is_a_fault() -> None:
    new = copy.deepcopy(schema(EventType.CLEARED))
    _slip(new)["properties"]["data_class"] = {"type": "string"}

    assert backward_faults(schema(EventType.CLEARED), new) == ["$.slip.data_class: was null, is string now"]


@pytest.mark.parametrize(("bound", "value"), [("minimum", 1), ("maximum", 10)])
def test_a_tightened_bound_is_a_fault(bound: str, value: int) -> None:
    new = copy.deepcopy(schema(EventType.CLEARED))
    _slip(new)["properties"]["position"][bound] = value

    assert len(backward_faults(schema(EventType.CLEARED), new)) == 1
