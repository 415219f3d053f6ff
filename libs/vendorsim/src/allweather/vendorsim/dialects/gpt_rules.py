"""Which parameters of Chat Completions a GPT model takes: refused are the others, in the vendor's words."""

from collections.abc import Callable, Mapping
from typing import Any

from allweather.vendorsim.catalogue import Model
from allweather.vendorsim.dialects import gpt_history
from allweather.vendorsim.dialects.gpt_words import (
    bad_effort,
    bad_function,
    bad_limit,
    invalid,
    out_of_bounds,
    unsupported,
)
from allweather.vendorsim.dialects.strict import complaint
from allweather.vendorsim.wire import Json, Problem, encode, items, members

Rule = Callable[[Any, Json, Model], Problem | None]
"""From the value of a parameter, the request and the model to what is wrong with it."""


def check(payload: Json, model: Model) -> Problem | None:
    """Return what is wrong with a request, or None: the first finding, as the vendor reports it."""
    if (problem := gpt_history.has_messages(payload)) is not None:
        return problem
    for name, value in payload.items():
        rule = _RULES.get(name, _unknown)
        if rule is _unknown:
            return invalid(f"Unrecognized request argument supplied: {name}", None, None)
        if rule is not None and value is not None and (problem := rule(value, payload, model)) is not None:
            return problem
    return gpt_history.check(items(payload["messages"]))


def effort_of(payload: Json, model: Model) -> str:
    return str(payload.get("reasoning_effort") or model.usual_effort)


def _only_without_reasoning(name: str, usual: float | None) -> Rule:
    def rule(value: Any, payload: Json, model: Model) -> Problem | None:
        if not model.efforts or effort_of(payload, model) == "none" or value == usual:
            return None
        if usual is None:
            return unsupported(name)
        text = (
            f"Unsupported value: '{name}' does not support {value} with this model. Only the default (1) value is "
            "supported."
        )
        return invalid(text, "unsupported_value", name)

    return rule


def _between(name: str, least: float, most: float, then: Rule) -> Rule:
    def rule(value: Any, payload: Json, model: Model) -> Problem | None:
        if not isinstance(value, int | float) or isinstance(value, bool):
            text = f"Invalid type for '{name}': expected a decimal, but got {encode(value).decode()} instead."
            return invalid(text, "invalid_type", name)
        if least <= value <= most:
            return then(value, payload, model)
        return out_of_bounds(name, "decimal", value, least, most)

    return rule


def _not_when_reasoning(name: str, hint: str = "") -> Rule:
    def rule(_value: Any, _payload: Json, model: Model) -> Problem | None:
        return unsupported(name, hint) if model.efforts else None

    return rule


def _limit(limit: Any, _payload: Json, _model: Model) -> Problem | None:
    return bad_limit("max_completion_tokens", limit)


def _few_choices(count: Any, _payload: Json, _model: Model) -> Problem | None:
    if count == 0 or count > 128:
        return out_of_bounds("n", "integer", count, 1, 128)
    return None


def _few_alternatives(top: Any, payload: Json, model: Model) -> Problem | None:
    if not payload.get("logprobs"):
        text = "Invalid value for 'top_logprobs': 'top_logprobs' is only allowed when 'logprobs' is true."
        return invalid(text, "invalid_value", "top_logprobs")
    if 0 <= top <= 20:
        return _only_without_reasoning("top_logprobs", None)(top, payload, model)
    return out_of_bounds("top_logprobs", "integer", top, 0, 20)


def _stops(stop: Any, _payload: Json, model: Model) -> Problem | None:
    if model.efforts:
        return unsupported("stop")
    if len(items(stop)) <= 4:
        return None
    text = (
        "Invalid 'stop': array too long. Expected an array with maximum length 4, but got an array with length "
        f"{len(items(stop))} instead."
    )
    return invalid(text, "array_above_max_length", "stop")


def _only_with_tools(name: str) -> Rule:
    def rule(_value: Any, payload: Json, _model: Model) -> Problem | None:
        if payload.get("tools"):
            return None
        text = f"Invalid value for '{name}': '{name}' is only allowed when 'tools' are specified."
        return invalid(text, None, name)

    return rule


def _choice(choice: Any, payload: Json, model: Model) -> Problem | None:
    if choice == "none":
        return None
    if (problem := _only_with_tools("tool_choice")(choice, payload, model)) is not None:
        return problem
    if isinstance(choice, str) and choice not in ("auto", "required"):
        text = f"Invalid value: '{choice}'. Supported values are: 'none', 'auto', and 'required'."
        return invalid(text, "invalid_value", "tool_choice")
    names = [members(members(tool).get("function")).get("name") for tool in items(payload["tools"])]
    named = members(members(choice).get("function")).get("name")
    if named is None or named in names:
        return None
    return invalid(f"Tool choice 'function' not found in 'tools' parameter: '{named}'.", None, "tool_choice")


def _tools(tools: Any, _payload: Json, _model: Model) -> Problem | None:
    if not items(tools):
        text = "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array instead."
        return invalid(text, "empty_array", "tools")
    for number, tool in enumerate(tools):
        function = members(members(tool).get("function"))
        if members(tool).get("type") == "custom":
            continue
        if not function.get("name"):
            name = f"tools[{number}].function.name"
            return invalid(f"Missing required parameter: '{name}'.", "missing_required_parameter", name)
        param = f"tools[{number}].function"
        if (problem := bad_function(function, f"{param}.name", f"{param}.parameters")) is not None:
            return problem
    return None


def _format(wanted: Any, payload: Json, _model: Model) -> Problem | None:
    kind = members(wanted).get("type")
    if kind == "json_object":
        if b"json" in encode(payload["messages"]).lower():
            return None
        text = "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
        return invalid(text, None, "messages")
    if kind != "json_schema":
        known = "Supported values are: 'json_object', 'json_schema', and 'text'."
        param = "response_format.type"
        return None if kind == "text" else invalid(f"Invalid value: '{kind}'. {known}", "invalid_value", param)
    named = members(members(wanted).get("json_schema"))
    missing = next((each for each in ("name", "schema") if not named.get(each)), None)
    if missing is not None:
        param = f"response_format.json_schema.{missing}"
        return invalid(f"Missing required parameter: '{param}'.", "missing_required_parameter", param)
    found = complaint(members(named["schema"])) if named.get("strict") else None
    if found is None:
        return None
    return invalid(f"Invalid schema for response_format '{named['name']}': {found}", None, "response_format")


def _effort(effort: Any, _payload: Json, model: Model) -> Problem | None:
    return bad_effort(effort, "reasoning_effort", model)


def _streaming(_options: Any, payload: Json, _model: Model) -> Problem | None:
    if payload.get("stream"):
        return None
    text = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
    return invalid(text, None, "stream_options")


def _unknown(_value: Any, _payload: Json, _model: Model) -> None: ...


_TAKEN = (
    "model messages audio functions function_call metadata modalities moderation prediction prompt_cache_key "
    "prompt_cache_options prompt_cache_retention safety_identifier seed service_tier store stream user verbosity "
    "web_search_options"
)
_RULES: Mapping[str, Rule | None] = {
    **dict.fromkeys(_TAKEN.split()),
    "frequency_penalty": _not_when_reasoning("frequency_penalty"),
    "presence_penalty": _not_when_reasoning("presence_penalty"),
    "logit_bias": _not_when_reasoning("logit_bias"),
    "logprobs": lambda value, payload, model: (
        _only_without_reasoning("logprobs", None)(value, payload, model) if value else None
    ),
    "top_logprobs": _few_alternatives,
    "max_completion_tokens": _limit,
    "max_tokens": _not_when_reasoning("max_tokens", " Use 'max_completion_tokens' instead."),
    "n": _few_choices,
    "parallel_tool_calls": _only_with_tools("parallel_tool_calls"),
    "reasoning_effort": _effort,
    "response_format": _format,
    "stop": _stops,
    "stream_options": _streaming,
    "temperature": _between("temperature", 0, 2, _only_without_reasoning("temperature", 1)),
    "top_p": _between("top_p", 0, 1, _only_without_reasoning("top_p", 1)),
    "tool_choice": _choice,
    "tools": _tools,
}
