"""What the input items of Responses have to look like: parts, ids, calls with their outputs, genuine reasoning."""

from collections.abc import Callable, Sequence

from allweather.vendorsim.dialects.gpt_pictures import check_picture
from allweather.vendorsim.dialects.gpt_words import invalid
from allweather.vendorsim.sealing import genuine
from allweather.vendorsim.wire import Json, Problem, items, members

_PREFIXES = {"message": "msg", "function_call": "fc", "function_call_output": "fc", "reasoning": "rs"}
"""What the id of an item begins with, where it has one."""
_PARTS = {
    "user": ("input_text", "input_image", "input_file"),
    "system": ("input_text", "input_image", "input_file"),
    "developer": ("input_text", "input_image", "input_file"),
    "assistant": ("output_text", "refusal"),
}
_SEALED = 7
"""Letters before the seal in encrypted content."""


def sealed(seal: str) -> str:
    """Return encrypted content: a seal in a wrapping that looks like the real thing."""
    return "gAAAAAB" + seal


def items_of(payload: Json) -> list[Json]:
    """Return the input in items; a string is what the user says."""
    given = payload.get("input")
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": given}]
    return [{"type": "message", **members(each)} for each in items(given)]


def check(found: Sequence[Json], owner: str, known: Callable[[str], bool]) -> Problem | None:
    """Return the first thing wrong with the items; `known` tells whether the vendor has kept an item."""
    for number, item in enumerate(found):
        if (problem := _item(item, f"input[{number}]", owner, known)) is not None:
            return problem
        if item["type"] == "reasoning" and not _continued(found[number + 1 :]):
            text = f"Item '{item.get('id')}' of type 'reasoning' was provided without its required following item."
            return invalid(text, None, "input")
    return _calls(found)


def _item(item: Json, param: str, owner: str, known: Callable[[str], bool]) -> Problem | None:
    kind = item["type"]
    if kind == "item_reference":
        return None if known(str(item.get("id"))) else _not_found(item)
    if kind not in _PREFIXES:
        text = f"Invalid value: '{kind}'. Supported values are: {', '.join(repr(each) for each in _PREFIXES)}."
        return invalid(text, "invalid_value", param)
    prefix = _PREFIXES[kind]
    if item.get("id") is not None and not str(item["id"]).startswith(prefix):
        text = f"Invalid '{param}.id': '{item['id']}'. Expected an ID that begins with '{prefix}'."
        return invalid(text, "invalid_value", f"{param}.id")
    match kind:
        case "message":
            return _message(item, param)
        case "reasoning":
            return _reasoning(item, param, owner, known)
        case "function_call":
            return _lacks(item, param, ("call_id", "name", "arguments"))
        case _:
            return _lacks(item, param, ("call_id", "output")) or _parts(item.get("output"), "user", f"{param}.output")


def _lacks(item: Json, param: str, names: Sequence[str]) -> Problem | None:
    missing = next((name for name in names if item.get(name) is None), None)
    if missing is None:
        return None
    text = f"Missing required parameter: '{param}.{missing}'."
    return invalid(text, "missing_required_parameter", f"{param}.{missing}")


def _message(item: Json, param: str) -> Problem | None:
    role = item.get("role")
    if role not in _PARTS:
        known = "'assistant', 'system', 'developer', and 'user'"
        return invalid(f"Invalid value: '{role}'. Supported values are: {known}.", "invalid_value", f"{param}.role")
    return _lacks(item, param, ("content",)) or _parts(item["content"], str(role), f"{param}.content")


def _parts(content: object, role: str, param: str) -> Problem | None:
    for place, part in enumerate(map(members, items(content))):
        kind, known = part.get("type"), _PARTS[role]
        if kind not in known:
            names = ", ".join(f"'{each}'" for each in known[:-1]) + f" and '{known[-1]}'"
            text = f"Invalid value: '{kind}'. Supported values are: {names}."
            return invalid(text, "invalid_value", f"{param}[{place}]")
        if kind == "input_image" and part.get("file_id") is None:
            problem = check_picture(part.get("image_url"), f"{param}[{place}].image_url")
            if problem is not None:
                return problem
    return None


def _reasoning(item: Json, param: str, owner: str, known: Callable[[str], bool]) -> Problem | None:
    if item.get("summary") is None:
        return _lacks(item, param, ("summary",))
    name, content = str(item.get("id")), item.get("encrypted_content")
    if content is None:
        return None if known(name) else _not_found(item)
    if genuine(str(content)[_SEALED:], owner):
        return None
    text = (
        f"The encrypted content for item {name} could not be verified. Reason: Encrypted content could not be "
        "decrypted or parsed."
    )
    return invalid(text, "invalid_encrypted_content", None)


def _not_found(item: Json) -> Problem:
    text = (
        f"Item with id '{item.get('id')}' not found. Items are not persisted when `store` is set to false. Try again "
        "with `store` set to true, or remove this item from your input."
    )
    return Problem(404, text, "invalid_request_error", None, "input")


def _continued(rest: Sequence[Json]) -> bool:
    """Tell whether what follows a reasoning item is what came of it."""
    if not rest:
        return False
    following = rest[0]
    return following["type"] in ("function_call", "reasoning", "item_reference") or following.get("role") == "assistant"


def _calls(found: Sequence[Json]) -> Problem | None:
    called = [str(item["call_id"]) for item in found if item["type"] == "function_call"]
    answered = [str(item["call_id"]) for item in found if item["type"] == "function_call_output"]
    for each in answered:
        if each not in called:
            return invalid(f"No tool call found for function call output with call_id {each}.", None, "input")
    missing = next((each for each in called if each not in answered), None)
    return None if missing is None else invalid(f"No tool output found for function call {missing}.", None, "input")
