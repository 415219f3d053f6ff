"""What Mistral takes: members it does not know, ids, orders and numbers outside its rules are refused in its words."""

import re
from collections.abc import Iterator

from allweather.vendorsim.wire import Json, Problem, items, members

_KNOWN = frozenset(
    (
        *("model", "messages", "temperature", "top_p", "max_tokens", "stream", "stop", "random_seed", "metadata"),
        *("response_format", "tools", "tool_choice", "presence_penalty", "frequency_penalty", "n", "prediction"),
        *("parallel_tool_calls", "prompt_mode", "reasoning_effort", "guardrails", "safe_prompt", "prompt_cache_key"),
    )
)
_OF_MESSAGES = frozenset(("role", "content", "tool_calls", "tool_call_id", "name", "prefix"))
_CALL_ID = re.compile(r"[a-zA-Z0-9]{9}")
_FOLLOWERS = {
    "system": ("system", "user", "assistant"),
    "user": ("user", "assistant", "system"),
    "assistant": ("user", "assistant", "tool", "system"),
    "tool": ("tool", "assistant"),
}


def invalid(text: str, code: str, kind: str = "invalid_request_error") -> Problem:
    """A refusal with a number of its own."""
    return Problem(400, text, kind, code)


def check(payload: Json) -> Problem | None:
    """Return the first thing that is wrong, or None."""
    return next(_faults(payload), None)


def _faults(payload: Json) -> Iterator[Problem]:
    for name in ("model", "messages"):
        if payload.get(name) is None:
            yield _malformed("missing", [name], "Field required")
    for name in payload:
        if name not in _KNOWN:
            yield _malformed("extra_forbidden", [name], "Extra inputs are not permitted")
    yield from _of_numbers(payload)
    yield from _of_choice(payload)
    yield from _of_messages([members(each) for each in items(payload["messages"])])


def _of_numbers(payload: Json) -> Iterator[Problem]:
    temperature = payload.get("temperature")
    if temperature is not None and not 0 <= temperature <= 1.5:
        yield _malformed("less_than_equal", ["temperature"], "Input should be less than or equal to 1.5")
    if temperature == 0 and payload.get("top_p") not in (None, 1):
        yield invalid("top_p must be 1 when using greedy sampling.", "3054", "invalid_request_invalid_args")
    if payload.get("reasoning_effort") not in (None, "none", "high"):
        yield _malformed("enum", ["reasoning_effort"], "Input should be 'high' or 'none'")


def _of_choice(payload: Json) -> Iterator[Problem]:
    choice = payload.get("tool_choice")
    if isinstance(choice, str) and choice not in ("auto", "none", "any", "required"):
        yield _malformed("enum", ["tool_choice"], "Input should be 'auto', 'none', 'any' or 'required'")
    if members(choice) and members(choice).get("type") != "function":
        yield _malformed("enum", ["tool_choice", "type"], "Input should be 'function'")


def _of_messages(messages: list[Json]) -> Iterator[Problem]:
    before = ""
    for index, message in enumerate(messages):
        role = str(message.get("role"))
        for name in message:
            if name not in _OF_MESSAGES:
                yield _malformed("extra_forbidden", ["messages", index, role, name], "Extra inputs are not permitted")
        if before and role not in _FOLLOWERS.get(before, ()):
            yield _disordered(f"Unexpected role '{role}' after role '{before}'")
        yield from _of_calls(message)
        before = role
    last = messages[-1] if messages else {}
    if last.get("role") not in ("user", "tool") and not last.get("prefix"):
        found = last.get("role")
        yield _disordered(
            f"Expected last role User or Tool (or Assistant with prefix True) for serving but got {found}"
        )


def _of_calls(message: Json) -> Iterator[Problem]:
    ids = [members(call).get("id") for call in items(message.get("tool_calls"))]
    if message.get("role") == "tool":
        ids.append(message.get("tool_call_id"))
    for name in ids:
        if not _CALL_ID.fullmatch(str(name)):
            text = f"Tool call id was {name} but must be a-z, A-Z, 0-9, with a length of 9."
            yield invalid(text, "3280", "invalid_function_call")


def _disordered(text: str) -> Problem:
    return invalid(text, "3230", "invalid_request_message_order")


def _malformed(kind: str, place: list[str | int], text: str) -> Problem:
    """A body that is not of the right shape: HTTP 422, and a list where others have a sentence."""
    detail = [{"type": kind, "loc": ["body", *place], "msg": text, "input": None}]
    return Problem(422, "", "invalid_request_error", more={"message": {"detail": detail}})
