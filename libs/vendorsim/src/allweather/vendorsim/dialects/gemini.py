"""What Gemini accepts on Vertex AI: the members of a request, in Google's words when they are wrong."""

import re
from collections.abc import Callable, Iterator, Mapping

from allweather.vendorsim.answers import Answer, Ask, Finish
from allweather.vendorsim.catalogue import Model
from allweather.vendorsim.dialects import gemini_history
from allweather.vendorsim.wire import Json, Problem, encode, items, members

# fmt: off
_REQUEST = frozenset((
    "contents", "systemInstruction", "cachedContent", "tools", "toolConfig", "labels", "safetySettings",
    "generationConfig", "modelArmorConfig", "serviceTier",
))
_CONFIG = frozenset((
    "temperature", "topP", "topK", "candidateCount", "maxOutputTokens", "stopSequences", "responseMimeType",
    "responseSchema", "responseJsonSchema", "presencePenalty", "frequencyPenalty", "seed", "responseLogprobs",
    "logprobs", "thinkingConfig", "mediaResolution", "responseModalities", "speechConfig", "routingConfig",
    "audioTimestamp", "enableAffectiveDialog",
))
_SCHEMA = frozenset((
    "type", "format", "title", "description", "nullable", "default", "items", "minItems", "maxItems", "enum",
    "properties", "propertyOrdering", "required", "minProperties", "maxProperties", "minimum", "maximum", "minLength",
    "maxLength", "pattern", "example", "anyOf",
))
# fmt: on
_NAME = re.compile(r"[A-Za-z_][\w.:-]{0,63}\Z", re.ASCII)
_LEVELS = ("MINIMAL", "LOW", "MEDIUM", "HIGH")
_RANGES: Mapping[str, tuple[float, float]] = {"temperature": (0, 2.0001), "topP": (0, 1.0001), "candidateCount": (1, 9)}
_MOST_STOPS = 5

Rule = Callable[[Json, Model], Problem | None]


def check(payload: Json, model: Model) -> Problem | None:
    """Return what is wrong with a request, or None: the first finding."""
    if (unknown := next((name for name in payload if name not in _REQUEST), None)) is not None:
        return _no_field(unknown, "")
    config = payload.get("generationConfig")
    if config and (problem := _config(members(config), model)) is not None:
        return problem
    if (payload.get("tools") or payload.get("toolConfig")) and (problem := _tools(payload)) is not None:
        return problem
    return gemini_history.check(payload, model)


def check_length(ask: Ask, answer: Answer, model: Model) -> Problem | None:
    full = answer.finish is Finish.WINDOW
    if ask.input_tokens <= model.window and not full:
        return None
    count = max(ask.input_tokens, model.window + full)
    return invalid(f"The input token count ({count}) exceeds the maximum number of tokens allowed ({model.window}).")


def invalid(text: str) -> Problem:
    return Problem(400, text, "INVALID_ARGUMENT")


def _no_field(name: str, where: str) -> Problem:
    at = f" at '{where}'" if where else ""
    text = f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.'
    violation = {"field": where, "description": text} if where else {"description": text}
    detail = {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}
    return Problem(400, text, "INVALID_ARGUMENT", more={"details": [detail]})


def _config(config: Json, model: Model) -> Problem | None:
    if (unknown := next((name for name in config if name not in _CONFIG), None)) is not None:
        return _no_field(unknown, "generation_config")
    return next((problem for rule in _CONFIG_RULES if (problem := rule(config, model)) is not None), None)


def _ranges(config: Json, model: Model) -> Problem | None:
    for name, (least, below) in (*_RANGES.items(), ("maxOutputTokens", (1, model.max_output + 1))):
        value = config.get(name)
        if isinstance(value, int | float) and not least <= value < below:
            return _out_of_range(name, value, least, below)
    return None


def _out_of_range(name: str, value: float, least: float, below: float) -> Problem:
    return invalid(
        f"Unable to submit request because it has a {name} value of {value} but the supported range is from {least} "
        f"(inclusive) to {below} (exclusive). Update the value and try again."
    )


def _stops(config: Json, _model: Model) -> Problem | None:
    count = len(items(config.get("stopSequences")))
    if count <= _MOST_STOPS:
        return None
    return invalid(
        f"Unable to submit request because it has {count} stop sequences but the maximum is {_MOST_STOPS}. Update the "
        "value and try again."
    )


def _thinking(config: Json, model: Model) -> Problem | None:
    thinking = members(config.get("thinkingConfig"))
    level = thinking.get("thinkingLevel")
    if level is None:
        return None
    if "thinkingBudget" in thinking:
        return invalid("You can only set only one of thinking budget and thinking level.")
    if str(level).upper() not in _LEVELS:
        where = "generation_config.thinking_config.thinking_level"
        kind = "type.googleapis.com/google.cloud.aiplatform.v1.ThinkingLevel"
        return invalid(f"Invalid value at '{where}' ({kind}), \"{level}\"")
    if "pro" in model.id and str(level).upper() == "MINIMAL":
        return invalid("Thinking level MINIMAL is not supported for this model.")
    return None


def _schema(config: Json, _model: Model) -> Problem | None:
    old, new = config.get("responseSchema"), config.get("responseJsonSchema")
    if not old and not new:
        return None
    if old and new:
        return invalid("Only one of response_schema and response_json_schema can be set.")
    if config.get("responseMimeType") not in ("application/json", "text/x.enum"):
        return invalid(
            "Unable to submit request because response_schema is set, which needs response_mime_type to be "
            "application/json."
        )
    return _old_schema(members(old), "generation_config.response_schema")


def _logprobs(config: Json, _model: Model) -> Problem | None:
    if config.get("logprobs") is None:
        return None
    if not config.get("responseLogprobs"):
        return invalid("The `logprobs` parameter is only allowed when `response_logprobs` is true.")
    if 0 <= config["logprobs"] <= 20:
        return None
    return _out_of_range("logprobs", config["logprobs"], 0, 21)


_CONFIG_RULES: tuple[Rule, ...] = (_ranges, _stops, _thinking, _schema, _logprobs)


def _old_schema(schema: Json, where: str) -> Problem | None:
    """Check a schema in the old form: Google's own subset of OpenAPI, without references."""
    for path, part in _parts(schema, where):
        unknown = next((name for name in part if _camel(name) not in _SCHEMA), None)
        if unknown is not None:
            return _no_field(unknown, path)
    return None


def _camel(name: str) -> str:
    """Google's parser takes either spelling, and the official client mixes them in schemas."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _parts(schema: Json, where: str) -> Iterator[tuple[str, Json]]:
    yield where, schema
    for number, part in enumerate(members(schema.get("properties")).values()):
        yield from _parts(members(part), f"{where}.properties[{number}].value")
    if "items" in schema:
        yield from _parts(members(schema["items"]), f"{where}.items")
    for number, part in enumerate(items(schema.get("anyOf"))):
        yield from _parts(members(part), f"{where}.any_of[{number}]")


def _tools(payload: Json) -> Problem | None:
    names: list[str] = []
    for number, tool in enumerate(map(members, items(payload.get("tools")))):
        for place, declared in enumerate(map(members, items(tool.get("functionDeclarations")))):
            where = f"tools[{number}].function_declarations[{place}]"
            if (problem := _declaration(declared, where)) is not None:
                return problem
            names.append(str(declared["name"]))
    if doubled := next((name for name in names if names.count(name) > 1), None):
        return invalid(f"Duplicate function declaration found: {doubled}")
    return _calling(payload, names)


def _declaration(declared: Json, where: str) -> Problem | None:
    if not _NAME.match(str(declared.get("name", ""))):
        return invalid(
            f"* GenerateContentRequest.{where}.name: Invalid function name. Must start with a letter or an underscore. "
            "Must be alphanumeric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), with a "
            "maximum length of 64."
        )
    if "parameters" in declared and "parametersJsonSchema" in declared:
        return invalid(
            f"* GenerateContentRequest.{where}: only one of parameters and parameters_json_schema can be set."
        )
    return _old_schema(members(declared.get("parameters")), f"{where}.parameters")


def _calling(payload: Json, names: list[str]) -> Problem | None:
    config = members(members(payload.get("toolConfig")).get("functionCallingConfig"))
    if not config:
        return None
    if not names:
        return invalid("Function calling config is set without function_declarations.")
    mode, allowed = config.get("mode", "AUTO"), items(config.get("allowedFunctionNames"))
    if mode not in ("AUTO", "ANY", "NONE", "VALIDATED", "MODE_UNSPECIFIED"):
        where = "tool_config.function_calling_config.mode"
        return invalid(f"Invalid value at '{where}', {encode(mode).decode()}")
    if allowed and mode not in ("ANY", "VALIDATED"):
        return invalid("Allowed function names should only be set when function calling mode is ANY.")
    unknown = [name for name in allowed if name not in names]
    return invalid(f"Allowed function names contain undeclared functions: {', '.join(unknown)}") if unknown else None
