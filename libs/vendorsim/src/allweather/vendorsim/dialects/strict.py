"""What is wrong with a schema that is to be followed strictly, in OpenAI's words."""

from collections.abc import Iterator

from allweather.vendorsim.wire import Json, items, members

Path = tuple[str, ...]


def complaint(schema: Json) -> str | None:
    """Return the first complaint about a strict schema, or None."""
    if schema.get("type") != "object":
        return f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{schema.get('type')}\"'."
    for path, each in _objects(schema, ()):
        where = "(" + ", ".join(f"'{part}'" for part in path) + ("," if len(path) == 1 else "") + ")"
        if each.get("additionalProperties") is not False:
            return f"In context={where}, 'additionalProperties' is required to be supplied and to be false."
        missing = next(
            (name for name in members(each.get("properties")) if name not in items(each.get("required"))), None
        )
        if missing is not None:
            return (
                f"In context={where}, 'required' is required to be supplied and to be an array including every key in "
                f"properties. Missing '{missing}'."
            )
    return None


def _objects(schema: Json, path: Path) -> Iterator[tuple[Path, Json]]:
    """Yield every object schema in `schema`, with the path to it."""
    if "properties" in schema or schema.get("type") == "object":
        yield path, schema
    for group in ("properties", "$defs", "definitions"):
        for name, part in members(schema.get(group)).items():
            yield from _objects(members(part), (*path, group, name))
    if "items" in schema:
        yield from _objects(members(schema["items"]), (*path, "items"))
    for number, part in enumerate(items(schema.get("anyOf"))):
        yield from _objects(members(part), (*path, "anyOf", str(number)))
