"""Which parameters of Responses a GPT model takes: refused are the others, in the vendor's words."""

from collections.abc import Callable, Mapping
from typing import Any

from allweather.vendorsim.catalogue import Model
from allweather.vendorsim.dialects.gpt_words import bad_effort, bad_function, bad_limit, invalid, unsupported
from allweather.vendorsim.dialects.strict import complaint
from allweather.vendorsim.wire import Json, Problem, encode, items, members

Rule = Callable[[Any, Json, Model], Problem | None]
_LEAST_TOKENS = 16
_MOVED = {
    "messages": "input",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
    "verbosity": "text.verbosity",
}
"""Parameters of Chat Completions that have another name here."""
_INCLUDES = (
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
)


def check(payload: Json, model: Model) -> Problem | None:
    """Return what is wrong with the parameters, or None: the first finding."""
    if payload.get("input") is None and payload.get("previous_response_id") is None:
        text = "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation_id' must be provided."
        return invalid(text, "missing_required_parameter", None)
    for name, value in payload.items():
        if name not in _RULES:
            return _unknown(name)
        rule = _RULES[name]
        if rule is not None and value is not None and (problem := rule(value, payload, model)) is not None:
            return problem
    return None


def effort_of(payload: Json, model: Model) -> str:
    return str(members(payload.get("reasoning")).get("effort") or model.usual_effort)


def _unknown(name: str) -> Problem:
    if name not in _MOVED:
        return invalid(f"Unknown parameter: '{name}'.", "unknown_parameter", name)
    text = (
        f"Unsupported parameter: '{name}'. In the Responses API, this parameter has moved to '{_MOVED[name]}'. Try "
        "again with the new parameter. See the API documentation for more information: "
        "https://platform.openai.com/docs/api-reference/responses/create."
    )
    return invalid(text, "unsupported_parameter", name)


def _limit(limit: Any, _payload: Json, _model: Model) -> Problem | None:
    return bad_limit("max_output_tokens", limit, _LEAST_TOKENS)


def _sampling(name: str) -> Rule:
    def rule(value: Any, payload: Json, model: Model) -> Problem | None:
        if not model.efforts or effort_of(payload, model) == "none" or value == 1:
            return None
        return unsupported(name)

    return rule


def _reasoning(wanted: Any, _payload: Json, model: Model) -> Problem | None:
    effort, summary = members(wanted).get("effort"), members(wanted).get("summary")
    if not model.efforts and wanted:
        return unsupported("reasoning.effort")
    if effort is not None and (problem := bad_effort(effort, "reasoning.effort", model)) is not None:
        return problem
    if summary in (None, "auto", "concise", "detailed"):
        return None
    text = f"Invalid value: '{summary}'. Supported values are: 'concise', 'detailed', and 'auto'."
    return invalid(text, "invalid_value", "reasoning.summary")


def _text(wanted: Any, payload: Json, _model: Model) -> Problem | None:
    form = members(members(wanted).get("format"))
    kind = form.get("type", "text")
    if kind == "json_object":
        if b"json" in encode([payload.get("input"), payload.get("instructions")]).lower():
            return None
        text = (
            "Response input messages must contain the word 'json' in some form to use 'text.format' of type "
            "'json_object'."
        )
        return invalid(text, None, "input")
    if kind != "json_schema":
        text = f"Invalid value: '{kind}'. Supported values are: 'json_object', 'json_schema', and 'text'."
        return None if kind == "text" else invalid(text, "invalid_value", "text.format.type")
    missing = next((each for each in ("name", "schema") if not form.get(each)), None)
    if missing is not None:
        param = f"text.format.{missing}"
        return invalid(f"Missing required parameter: '{param}'.", "missing_required_parameter", param)
    found = complaint(members(form["schema"])) if form.get("strict") else None
    if found is None:
        return None
    text = f"Invalid schema for response_format '{form['name']}': {found}"
    return invalid(text, "invalid_json_schema", "text.format.schema")


def _tools(tools: Any, _payload: Json, _model: Model) -> Problem | None:
    for number, tool in enumerate(map(members, items(tools))):
        param = f"tools[{number}]"
        if tool.get("type") is None:
            return invalid(
                f"Missing required parameter: '{param}.type'.", "missing_required_parameter", f"{param}.type"
            )
        if tool["type"] != "function":
            continue
        if not tool.get("name"):
            return invalid(
                f"Missing required parameter: '{param}.name'.", "missing_required_parameter", f"{param}.name"
            )
        if (problem := bad_function(tool, f"{param}.name", f"{param}.parameters")) is not None:
            return problem
    return None


def _choice(choice: Any, payload: Json, _model: Model) -> Problem | None:
    named = members(choice)
    if not payload.get("tools") and (choice == "required" or named):
        return invalid("Tool choice 'required' must be specified with 'tools' parameter.", None, "tool_choice")
    if isinstance(choice, str) and choice not in ("none", "auto", "required"):
        text = f"Invalid value: '{choice}'. Supported values are: 'none', 'auto', and 'required'."
        return invalid(text, "invalid_value", "tool_choice")
    names = [members(tool).get("name") for tool in items(payload.get("tools"))]
    if named.get("type") == "function" and named.get("name") not in names:
        return invalid("Tool choice 'function' not found in 'tools' parameter.", None, "tool_choice")
    return None


def _include(wanted: Any, _payload: Json, _model: Model) -> Problem | None:
    for number, each in enumerate(items(wanted)):
        if each not in _INCLUDES:
            known = ", ".join(f"'{name}'" for name in _INCLUDES[:-1]) + f", and '{_INCLUDES[-1]}'"
            text = f"Invalid value: '{each}'. Supported values are: {known}."
            return invalid(text, "invalid_value", f"include[{number}]")
    return None


def _truncation(wanted: Any, _payload: Json, _model: Model) -> Problem | None:
    if wanted in ("auto", "disabled"):
        return None
    text = f"Invalid value: '{wanted}'. Supported values are: 'auto' and 'disabled'."
    return invalid(text, "invalid_value", "truncation")


_TAKEN = (
    "access_programs", "background", "background_options", "context_management", "conversation", "image", "input",
    "instructions", "max_tool_calls", "metadata", "model", "moderation", "parallel_tool_calls", "previous_response_id",
    "prompt", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "safety_identifier", "service_tier",
    "store", "stream", "stream_options", "top_logprobs", "user",
)  # fmt: skip
_RULES: Mapping[str, Rule | None] = {
    **dict.fromkeys(_TAKEN),
    "include": _include,
    "max_output_tokens": _limit,
    "reasoning": _reasoning,
    "temperature": _sampling("temperature"),
    "text": _text,
    "tool_choice": _choice,
    "tools": _tools,
    "top_p": _sampling("top_p"),
    "truncation": _truncation,
}
