"""JSON Schema 2020-12 of every event, and the check that a change can still read what was written before."""

from typing import Any

import msgspec

from allweather.contracts.model import Value
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
_REFERENCE = "#/$defs/{name}"
_DATA: dict[EventType, type[Value] | None] = {
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
        (delta,) = _definitions(Delta).values()
        return delta | head
    return head | _envelope(_DATA[event])


def _envelope(data: type[Value] | None) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "slip": _reference(Slip),
        "body": {"description": "The caller's body, untouched; absent when `slip.body_ref` names it."},
        "response": {"description": "The rendered answer, in the caller's dialect."},
    }
    parts: list[type[Value]] = [Slip]
    if data is not None:
        properties["data"] = _reference(data)
        parts.append(data)
    return {
        "type": "object",
        "properties": properties,
        "required": ["slip", *(["data"] if data else [])],
        "$defs": _definitions(*parts),
    }


def _reference(model: type[Value]) -> dict[str, Any]:
    return {"$ref": _REFERENCE.format(name=model.__name__)}


def _definitions(*models: type[Value]) -> dict[str, Any]:
    """The schemas of these models and of all that they use, by name."""
    _, definitions = msgspec.json.schema_components(models, ref_template=_REFERENCE)
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(definitions))  # tuples, among the defaults, too
    return dict(sorted(plain.items()))
