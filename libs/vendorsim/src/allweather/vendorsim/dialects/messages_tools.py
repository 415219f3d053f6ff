"""The tools, the choice among them and the schemas of a Messages request."""

import re
from collections.abc import Iterator
from typing import Any

from allweather.vendorsim.wire import Json, Problem, items, members

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}\Z")


def check_schema(schema: Json, where: str) -> Problem | None:
    for each in _parts(schema):
        if each.get("type") == "object" and each.get("additionalProperties") is not False:
            return _invalid(f"{where}: For 'object' type, 'additionalProperties' must be explicitly set to false")
        limits = [name for name in ("maximum", "minimum", "multipleOf") if name in each]
        if limits and each.get("type") in ("integer", "number"):
            return _invalid(f"{where}: For '{each['type']}' type, properties {', '.join(limits)} are not supported")
    return None


def _parts(schema: Json) -> Iterator[Json]:
    yield schema
    for group in ("properties", "$defs", "definitions"):
        for part in members(schema.get(group)).values():
            yield from _parts(members(part))
    for part in [schema.get("items"), *items(schema.get("anyOf")), *items(schema.get("allOf"))]:
        if part:
            yield from _parts(members(part))


def check_tools(tools: Any, _payload: Json) -> Problem | None:
    names: set[object] = set()
    for number, tool in enumerate(map(members, items(tools))):
        if tool.get("type") not in (None, "custom"):
            continue  # one of Anthropic's own tools
        if (problem := _tool(tool, f"tools.{number}.custom")) is not None:
            return problem
        if tool["name"] in names:
            return _invalid("tools: Tool names must be unique.")
        names.add(tool["name"])
    return None


def _tool(tool: Json, where: str) -> Problem | None:
    missing = next((name for name in ("name", "input_schema") if tool.get(name) is None), None)
    if missing is not None:
        return _invalid(f"{where}.{missing}: Field required")
    if not _NAME.match(str(tool["name"])):
        return _invalid(f"{where}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
    schema = members(tool["input_schema"])
    if schema.get("type") != "object":
        return _invalid(
            f"{where}.input_schema.type: " + ("Input should be 'object'" if "type" in schema else "Field required")
        )
    if any(name in schema for name in ("oneOf", "allOf", "anyOf")):
        text = f"{where}.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level"
        return _invalid(text)
    return check_schema(schema, where) if tool.get("strict") else None


def check_choice(choice: Any, payload: Json) -> Problem | None:
    kind, name = members(choice).get("type"), members(choice).get("name")
    if kind not in ("auto", "any", "tool", "none"):
        return _invalid(
            f"tool_choice: Input tag '{kind}' found using 'type' does not match any of the expected tags: 'any', "
            "'auto', 'none', 'tool'"
        )
    if not payload.get("tools"):
        return _invalid("tool_choice may only be specified while providing tools") if kind != "none" else None
    if kind == "tool" and name not in [members(tool).get("name") for tool in items(payload["tools"])]:
        return _invalid(f"tool_choice.tool.name: Tool '{name}' not found in provided tools")
    if kind in ("any", "tool") and members(payload.get("thinking")).get("type") == "enabled":
        return _invalid("Thinking may not be enabled when tool_choice forces tool use.")
    return None


def _invalid(text: str) -> Problem:
    return Problem(400, text, "invalid_request_error")
