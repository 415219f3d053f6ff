"""What a conversation in Chat Completions has to look like: roles, parts, and tool messages where they belong."""

from collections.abc import Sequence

from allweather.vendorsim.dialects.gpt_pictures import check_picture
from allweather.vendorsim.dialects.gpt_words import invalid
from allweather.vendorsim.wire import Json, Problem, items, members

_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_PARTS = ("text", "image_url", "input_audio", "refusal", "audio", "file")


def has_messages(payload: Json) -> Problem | None:
    messages = payload.get("messages")
    if messages is None:
        return invalid("Missing required parameter: 'messages'.", "missing_required_parameter", "messages")
    if not isinstance(messages, list):
        return invalid("Invalid type for 'messages': expected an array of objects.", "invalid_type", "messages")
    if not messages:
        return invalid(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            "empty_array",
            "messages",
        )
    return None


def check(messages: Sequence[object]) -> Problem | None:
    """Return the first thing wrong with the turns."""
    waiting: list[str] = []
    """Calls of the assistant that no tool message has answered yet."""
    for number, each in enumerate(messages):
        message = members(each)
        role = message.get("role")
        if role == "tool":
            problem = _answers(message, number, waiting)
        else:
            problem = _unanswered(waiting) or _turn(message, role, number)
            waiting = [str(members(call).get("id")) for call in items(message.get("tool_calls"))]
        if problem is not None:
            return problem
    return _unanswered(waiting)


def _turn(message: Json, role: object, number: int) -> Problem | None:
    if role not in _ROLES:
        text = f"Invalid value: '{role}'. Supported values are: {', '.join(repr(known) for known in _ROLES)}."
        return invalid(text, "invalid_value", f"messages[{number}].role")
    content = message.get("content")
    if isinstance(content, str):
        return None
    if parts := items(content):
        return _parts(parts, str(role), number)
    if role == "assistant" and (message.get("tool_calls") or message.get("refusal") or message.get("function_call")):
        return None
    kind = "null" if content is None else "an object"
    return invalid(f"Invalid value for 'content': expected a string, got {kind}.", None, f"messages.[{number}].content")


def _parts(parts: Sequence[object], role: str, number: int) -> Problem | None:
    for place, part in enumerate(map(members, parts)):
        kind, param = part.get("type"), f"messages[{number}].content[{place}]"
        if kind not in _PARTS:
            known = ", ".join(f"'{each}'" for each in _PARTS[:-1]) + f", and '{_PARTS[-1]}'"
            text = f"Invalid value: '{kind}'. Supported values are: {known}."
            return invalid(text, "invalid_value", f"{param}.type")
        if kind == "image_url" and role != "user":
            text = (
                f"Invalid 'messages[{number}]'. Image URLs are only allowed for messages with role 'user', but this "
                f"message with role '{role}' contains an image URL."
            )
            return invalid(text, "invalid_value", f"messages[{number}]")
        if kind == "image_url":
            problem = check_picture(members(part.get("image_url")).get("url"), f"{param}.image_url.url")
            if problem is not None:
                return problem
    return None


def _answers(message: Json, number: int, waiting: list[str]) -> Problem | None:
    """Take a tool message off the list of what is waited for."""
    called = message.get("tool_call_id")
    if called in waiting:
        waiting.remove(str(called))
        return _parts(items(message.get("content")), "tool", number)
    text = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
    return invalid(text, None, f"messages.[{number}].role")


def _unanswered(waiting: Sequence[str]) -> Problem | None:
    if not waiting:
        return None
    text = (
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
        f"The following tool_call_ids did not have response messages: {', '.join(waiting)}"
    )
    return invalid(text, None, "messages")
