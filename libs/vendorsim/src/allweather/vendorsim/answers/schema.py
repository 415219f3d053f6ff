"""Make a value that fits a JSON Schema: for structured output and for the arguments of tool calls."""

from collections.abc import Mapping
from math import ceil, floor
from typing import Any

from allweather.vendorsim.wire import Json, items, members

_FORMATS = {
    "date": "2026-11-23",
    "date-time": "2026-11-23T09:30:00Z",
    "time": "09:30:00Z",
    "duration": "PT15M",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
}
_DEEPEST = 12
"""A schema that refers to itself is not followed further: optional members and items are left out from there on."""


def fill(schema: Json, facts: Mapping[str, str], choice: int) -> Any:
    """Return a value that `schema` admits; `facts` give the value of a property of that name where it fits.

    Knows types, enum, const, properties, items, $ref, allOf, the first usable anyOf or oneOf, limits and formats;
    patterns are not followed.
    """
    return _Filling(schema, facts, choice).value(schema, "", 0)


class _Filling:
    def __init__(self, root: Json, facts: Mapping[str, str], choice: int) -> None:
        self._root = root
        self._facts = facts
        self._choice = choice

    def value(self, schema: Json, name: str, depth: int) -> Any:
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if options := items(schema.get("enum")):
            fact = self._facts.get(name)
            return fact if fact in options else options[self._choice % len(options)]
        kind = _type(schema)
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, name, depth)
        return self._scalar(kind, schema, name)

    def _object(self, schema: Json, depth: int) -> Json:
        parts = members(schema.get("properties"))
        if depth > _DEEPEST:
            required = items(schema.get("required"))
            parts = {key: part for key, part in parts.items() if key in required}
        return {key: self.value(members(part), key, depth + 1) for key, part in parts.items()}

    def _array(self, schema: Json, name: str, depth: int) -> list[Any]:
        least = int(schema.get("minItems", 0))
        count = least if depth > _DEEPEST else max(1, least)
        if "maxItems" in schema:
            count = min(count, int(schema["maxItems"]))
        first = [members(each) for each in items(schema.get("prefixItems"))]
        shapes = [*first, *[members(schema.get("items"))] * max(0, count - len(first))]
        return [self.value(shape, name, depth + 1) for shape in shapes]

    def _scalar(self, kind: str, schema: Json, name: str) -> Any:
        match kind:
            case "integer" | "number":
                return _number(schema, self._choice % 10 + 1, whole=kind == "integer")
            case "boolean":
                return self._choice % 2 == 0
            case "null":
                return None
            case _:
                return _string(schema, self._facts.get(name, self._facts.get("summary", "")))

    def _resolved(self, schema: Json) -> Json:
        if isinstance(reference := schema.get("$ref"), str):
            found: Json = self._root
            for part in reference.removeprefix("#").strip("/").split("/"):
                found = members(found.get(part)) if part else found
            return self._resolved(found) if found is not schema else {}
        for option in items(schema.get("anyOf") or schema.get("oneOf")):
            if str(members(option).get("type")).lower() != "null":
                return self._resolved(members(option))
        if parts := items(schema.get("allOf")):
            return _merged(schema, [self._resolved(members(part)) for part in parts])
        return schema


def _merged(schema: Json, parts: list[Json]) -> Json:
    whole = {name: value for name, value in schema.items() if name != "allOf"}
    for part in parts:
        properties = {**members(whole.get("properties")), **members(part.get("properties"))}
        whole = {**whole, **part, **({"properties": properties} if properties else {})}
    return whole


def _number(schema: Json, wanted: float, *, whole: bool) -> float:
    step = schema.get("multipleOf", 1 if whole else None)
    least, most = schema.get("minimum"), schema.get("maximum")
    if (above := schema.get("exclusiveMinimum")) is not None:
        least = above + (step or 0.5)
    if (below := schema.get("exclusiveMaximum")) is not None:
        most = below - (step or 0.5)
    value = wanted if least is None else max(least, wanted)
    value = value if most is None else min(most, value)
    if step is None:
        return value
    found = ceil(value / step) * step
    return found if most is None or found <= most else floor(value / step) * step


def _string(schema: Json, wanted: str) -> str:
    value = _FORMATS.get(str(schema.get("format")), wanted)
    least, most = int(schema.get("minLength", 0)), schema.get("maxLength")
    value = value.ljust(least, ".")
    return value if most is None else value[: int(most)]


def _type(schema: Json) -> str:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kinds = [str(each).lower() for each in (items(kind) or [kind])]  # Gemini's dialect writes types in upper case
    return next((each for each in kinds if each != "null"), "null")
