"""What the Messages API accepts: the rules for each parameter, in Anthropic's words."""

from collections.abc import Callable, Mapping
from typing import Any

from allweather.vendorsim.answers import Answer, Ask, Finish
from allweather.vendorsim.catalogue import ANTHROPIC, Model
from allweather.vendorsim.dialects import messages_history
from allweather.vendorsim.dialects.messages_tools import check_choice, check_schema, check_tools
from allweather.vendorsim.wire import Json, Problem, Request, items, members

WITHOUT_SAMPLING = "2026-10-21"
"""From this version on, temperature, top_p and top_k are unknown members."""
_VERSIONS = ("2023-06-01", WITHOUT_SAMPLING)
_SAMPLING = ("temperature", "top_p", "top_k")
_NO_PREFILL = ("claude-opus-4-6", "claude-sonnet-4-6")
_LEAST_BUDGET = 1024
_THINKING_DOCS = (
    "Please consult our documentation at https://docs.claude.com/en/docs/build-with-claude/extended-thinking"
)

Rule = Callable[[Any, Json], Problem | None]
"""From the value of a parameter and the request to what is wrong with it."""


def check_version(request: Request) -> Problem | None:
    version = request.headers.get("anthropic-version")
    if version is None:
        return _invalid("anthropic-version: header is required")
    return None if version in _VERSIONS else _invalid(f'anthropic-version: "{version}" is not a valid version')


def check(payload: Json, version: str) -> Problem | None:
    """Return what is wrong with a request for an answer, or None: the first finding."""
    if (problem := _sampled(payload, version) or _lacks(payload, ("model", "max_tokens", "messages"))) is not None:
        return problem
    return _checked(payload, _RULES)


def check_count(payload: Json, version: str) -> Problem | None:
    """Return what is wrong with a request to count tokens: it takes less than a request for an answer."""
    if (problem := _sampled(payload, version) or _lacks(payload, ("model", "messages"))) is not None:
        return problem
    return _checked(payload, _COUNT_RULES)


def check_length(ask: Ask, model: Model) -> Problem | None:
    if ask.input_tokens <= model.window:
        return None
    return _invalid(f"prompt is too long: {ask.input_tokens} tokens > {model.window} maximum")


def check_health(answer: Answer) -> Problem | None:
    """Return what the vendor says when the model has broken down."""
    return Problem(500, "Internal server error", "api_error") if answer.finish is Finish.FAILED else None


def thinks(payload: Json) -> bool:
    return members(payload.get("thinking")).get("type") in ("enabled", "adaptive", "between_tools")


def _checked(payload: Json, rules: Mapping[str, Rule | None]) -> Problem | None:
    for name, value in payload.items():
        rule = rules.get(name, _unknown)
        if rule is _unknown:
            return _invalid(f"{name}: Extra inputs are not permitted")
        if rule is not None and value is not None and (problem := rule(value, payload)) is not None:
            return problem
    return messages_history.check(payload, manual=members(payload.get("thinking")).get("type") == "enabled")


def _sampled(payload: Json, version: str) -> Problem | None:
    if version == WITHOUT_SAMPLING:
        for name in _SAMPLING:
            if name in payload:
                return _invalid(f"{name}: Extra inputs are not permitted")
    return None


def _lacks(payload: Json, names: tuple[str, ...]) -> Problem | None:
    for name in names:
        if payload.get(name) is None:
            return _invalid(f"{name}: Field required")
    return None


def _invalid(text: str) -> Problem:
    return Problem(400, text, "invalid_request_error")


def _turns(turns: Any, payload: Json) -> Problem | None:
    found = items(turns)
    if not found and turns != []:
        return _invalid("messages: Input should be a valid list")
    if not found:
        return _invalid("messages: at least one message is required")
    if payload["model"] in _NO_PREFILL and members(found[-1]).get("role") == "assistant":
        text = "This model does not support assistant message prefill. The conversation must end with a user message."
        return _invalid(text)
    return None


def _max_tokens(limit: Any, payload: Json) -> Problem | None:
    model = ANTHROPIC[str(payload["model"])]
    if not isinstance(limit, int) or isinstance(limit, bool):
        return _invalid("max_tokens: Input should be a valid integer")
    if limit < 0:
        return _invalid("max_tokens: Input should be greater than or equal to 0")
    if limit <= model.max_output:
        return None
    return _invalid(
        f"max_tokens: {limit} > {model.max_output}, which is the maximum allowed number of output tokens for "
        f"{payload['model']}"
    )


def _temperature(value: Any, payload: Json) -> Problem | None:
    if not isinstance(value, int | float) or not 0 <= value <= 1:
        return _invalid("temperature: range: 0..1")
    if value != 1 and thinks(payload):
        return _invalid(f"`temperature` may only be set to 1 when thinking is enabled. {_THINKING_DOCS}")
    return None


def _top_k(_value: Any, payload: Json) -> Problem | None:
    return _invalid(f"`top_k` must be unset when thinking is enabled. {_THINKING_DOCS}") if thinks(payload) else None


def _thinking(thinking: Any, payload: Json) -> Problem | None:
    kind = members(thinking).get("type")
    adaptive = kind in ("adaptive", "between_tools")
    if adaptive and not ANTHROPIC[str(payload["model"])].efforts:
        return _invalid(f"{str(kind).replace('_', ' ')} thinking is not supported on this model")
    if adaptive or kind == "disabled":
        return None
    if kind != "enabled":
        return _invalid(
            f"thinking: Input tag '{kind}' found using 'type' does not match any of the expected tags: 'adaptive', "
            "'between_tools', 'disabled', 'enabled'"
        )
    return _budget(members(thinking).get("budget_tokens"), payload)


def _budget(budget: object, payload: Json) -> Problem | None:
    if not isinstance(budget, int):
        return _invalid("thinking.enabled.budget_tokens: Field required")
    if budget < _LEAST_BUDGET:
        return _invalid("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
    limit = payload.get("max_tokens")
    if limit is not None and budget >= limit:
        return _invalid(f"`max_tokens` must be greater than `thinking.budget_tokens`. {_THINKING_DOCS}")
    return None


def _output_config(config: Any, payload: Json) -> Problem | None:
    effort, known = members(config).get("effort"), ANTHROPIC[str(payload["model"])].efforts
    if effort is not None and not known:
        return _invalid("This model does not support the effort parameter.")
    if effort is not None and effort not in known:
        names = ", ".join(known)
        return _invalid(f"output_config.effort: '{effort}' is not supported by this model. Supported: {names}")
    wanted = members(members(config).get("format"))
    if not wanted:
        return None
    if wanted.get("type") != "json_schema":
        return _invalid("output_config.format.type: Input should be 'json_schema'")
    if not isinstance(wanted.get("schema"), dict):
        return _invalid("output_config.format.schema: Field required")
    return check_schema(members(wanted["schema"]), "output_config.format.schema")


def _stop_sequences(stops: Any, _payload: Json) -> Problem | None:
    if all(str(stop).strip() for stop in items(stops)):
        return None
    return _invalid("stop_sequences: each stop sequence must contain non-whitespace")


def _metadata(metadata: Any, _payload: Json) -> Problem | None:
    other = next((name for name in members(metadata) if name != "user_id"), None)
    return None if other is None else _invalid(f"metadata.{other}: Extra inputs are not permitted")


def _inference_geo(place: Any, payload: Json) -> Problem | None:
    if not ANTHROPIC[str(payload["model"])].efforts:
        return _invalid("inference_geo: this model does not support the inference_geo parameter")
    return None if place in ("global", "us") else _invalid("inference_geo: Input should be 'global' or 'us'")


def _service_tier(tier: Any, _payload: Json) -> Problem | None:
    known = tier in ("auto", "standard_only")
    return None if known else _invalid("service_tier: Input should be 'auto' or 'standard_only'")


def _unknown(_value: Any, _payload: Json) -> None: ...


_COUNT_RULES: Mapping[str, Rule | None] = {
    **dict.fromkeys(("model", "system", "cache_control", "speed", "context_management", "mcp_servers")),
    "messages": _turns,
    "output_config": _output_config,
    "thinking": _thinking,
    "tool_choice": check_choice,
    "tools": check_tools,
}
_RULES: Mapping[str, Rule | None] = {
    **dict.fromkeys(("stream", "container", "diagnostics", "top_p")),
    **_COUNT_RULES,
    "max_tokens": _max_tokens,
    "temperature": _temperature,
    "top_k": _top_k,
    "stop_sequences": _stop_sequences,
    "metadata": _metadata,
    "inference_geo": _inference_geo,
    "service_tier": _service_tier,
}
