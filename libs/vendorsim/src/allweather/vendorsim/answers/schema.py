"""Make a value that fits a JSON Schema: for structured output and for the arguments of tool calls."""

from collections.abc import Mapping
from typing import Any

from allweather.vendorsim.wire import Json, items, members


def fill(schema: Json, facts: Mapping[str, str], choice: int) -> Any:
    """Return a value that `schema` admits; `facts` give the value of a property of that name where it fits.

    Knows types, enum, const, properties, items, $ref into $defs and the first usable anyOf; limits such as `minimum`
    are honoured, patterns and formats are not.
    """
    return _value(schema, "", facts, choice, schema)


def _value(schema: Json, name: str, facts: Mapping[str, str], choice: int, root: Json) -> Any:
    schema = _resolved(schema, root)
    if "const" in schema:
        return schema["const"]
    if options := items(schema.get("enum")):
        return facts[name] if facts.get(name) in options else options[choice % len(options)]
    kind = _type(schema)
    if kind == "object":
        parts = members(schema.get("properties"))
        return {key: _value(members(part), key, facts, choice, root) for key, part in parts.items()}
    if kind == "array":
        return [_value(members(schema.get("items")), name, facts, choice, root)]
    return _scalar(kind, schema, name, facts, choice)


def _scalar(kind: str, schema: Json, name: str, facts: Mapping[str, str], choice: int) -> Any:
    if kind in ("integer", "number"):
        return max(schema.get("minimum", 0), min(choice % 10 + 1, schema.get("maximum", 10)))
    if kind == "boolean":
        return choice % 2 == 0
    if kind == "null":
        return None
    return facts.get(name, facts.get("summary", ""))


def _type(schema: Json) -> str:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kinds = [str(each).lower() for each in (items(kind) or [kind])]  # Gemini's dialect writes types in upper case
    return next((each for each in kinds if each != "null"), "null")


def _resolved(schema: Json, root: Json) -> Json:
    if isinstance(reference := schema.get("$ref"), str):
        found: Json = root
        for part in reference.removeprefix("#/").split("/"):
            found = members(found.get(part))
        return _resolved(found, root) if found else {}
    for option in items(schema.get("anyOf")):
        if members(option).get("type") != "null":
            return _resolved(members(option), root)
    return schema
