"""JSON Schema 2020-12 of every event, and the check that a change can still read what was written before."""

from typing import Any

from pydantic import BaseModel

from allweather.contracts.model import Model
from allweather.contracts.records import (
    AttemptResult,
    Delta,
    Dispatch,
    Ended,
    EventType,
    Parked,
    Released,
)
from allweather.contracts.slip import Slip

_BASE = "https://schemas.allweather.example/"
_DATA: dict[EventType, type[Model] | None] = {
    EventType.CLEARED: None,
    EventType.DISPATCHED: Dispatch,
    EventType.ATTEMPTED: AttemptResult,
    EventType.PARKED: Parked,
    EventType.RELEASED: Released,
    EventType.EXPIRED: Ended,
    EventType.CANCELLED: Ended,
    EventType.DEAD_LETTERED: Ended,
}
_PUBLIC: dict[EventType, str] = {
    EventType.SUBMITTED: "The caller's body, in the dialect that `ai-dialect` names.",
    EventType.SETTLED: "The answer or the error, in the dialect of the request; headers say what decided it.",
    EventType.CONFLICTED: "The error for a key that was used with another body.",
}


def uri(event: EventType) -> str:
    """`ce_dataschema` of an event."""
    return f"{_BASE}{event.value}.v1.json"


def schema(event: EventType) -> dict[str, Any]:
    """The JSON Schema of the event's record value."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": uri(event), "title": event.value}
    if event in _PUBLIC:
        return head | {"description": _PUBLIC[event], "type": "object"}
    if event is EventType.DELTA:
        return _of(Delta) | head
    return head | _envelope(_DATA[event])


def _envelope(data: type[Model] | None) -> dict[str, Any]:
    definitions: dict[str, Any] = {}
    properties: dict[str, Any] = {
        "slip": _hoisted(Slip, definitions),
        "body": {"description": "The caller's body, untouched; absent when `slip.body_ref` names it."},
        "response": {"description": "The rendered answer, in the caller's dialect."},
    }
    required = ["slip"]
    if data is not None:
        properties["data"] = _hoisted(data, definitions)
        required.append("data")
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "$defs": dict(sorted(definitions.items())),
    }


def _of(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema(mode="validation")


def _hoisted(model: type[BaseModel], definitions: dict[str, Any]) -> dict[str, Any]:
    """A reference to the model; its schema and those it uses move into `definitions`."""
    own = _of(model)
    definitions.update(own.pop("$defs", {}))
    definitions[model.__name__] = own
    return {"$ref": f"#/$defs/{model.__name__}"}
