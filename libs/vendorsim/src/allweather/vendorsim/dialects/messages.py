"""What the Messages API accepts: the rules of Anthropic's request format."""

from collections.abc import Callable

from allweather.vendorsim.answers import Ask
from allweather.vendorsim.catalogue import ANTHROPIC, Model
from allweather.vendorsim.wire import Json, Problem, Request, items, members

WITHOUT_SAMPLING = "2026-10-21"
"""From this version on, temperature, top_p and top_k are unknown members."""
_VERSIONS = ("2023-06-01", WITHOUT_SAMPLING)
_NO_PREFILL = ("claude-opus-4-6", "claude-sonnet-4-6")


def check_version(request: Request) -> Problem | None:
    version = request.headers.get("anthropic-version")
    if version is None:
        return _invalid("anthropic-version: header is required")
    return None if version in _VERSIONS else _invalid(f'anthropic-version: "{version}" is not a valid version')


def check(payload: Json, version: str) -> Problem | None:
    """Return what is wrong with a request, or None: the first finding."""
    if version == WITHOUT_SAMPLING:
        for name in ("temperature", "top_p", "top_k"):
            if name in payload:
                return _invalid(f"{name}: Extra inputs are not permitted")
    return next((problem for rule in _RULES if (problem := rule(payload)) is not None), None)


def check_length(ask: Ask, model: Model) -> Problem | None:
    if ask.input_tokens <= model.window:
        return None
    return _invalid(f"prompt is too long: {ask.input_tokens} tokens > {model.window} maximum")


def _invalid(text: str) -> Problem:
    return Problem(400, text, "invalid_request_error")


def _names_what_it_needs(payload: Json) -> Problem | None:
    missing = next((name for name in ("model", "max_tokens", "messages") if payload.get(name) is None), None)
    return None if missing is None else _invalid(f"{missing}: Field required")


def _has_turns(payload: Json) -> Problem | None:
    if not isinstance(payload["messages"], list):
        return _invalid("messages: Input should be a valid list")
    if not payload["messages"]:
        return _invalid("messages: at least one message is required")
    return None


def _knows_the_roles(payload: Json) -> Problem | None:
    for number, message in enumerate(items(payload["messages"])):
        role = members(message).get("role")
        if role not in ("user", "assistant", "system"):
            return _invalid(f"messages.{number}.role: Input should be 'user' or 'assistant'")
    return None


def _asks_for_a_possible_length(payload: Json) -> Problem | None:
    limit, model = payload["max_tokens"], ANTHROPIC[str(payload["model"])]
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


def _samples_within_bounds(payload: Json) -> Problem | None:
    temperature = payload.get("temperature")
    if isinstance(temperature, int | float) and not 0 <= temperature <= 1:
        return _invalid("temperature: range: 0..1")
    return None


def _ends_with_the_user(payload: Json) -> Problem | None:
    last = members(items(payload["messages"])[-1])
    if payload["model"] in _NO_PREFILL and last.get("role") == "assistant":
        text = "This model does not support assistant message prefill. The conversation must end with a user message."
        return _invalid(text)
    return None


def _effort_is_known(payload: Json) -> Problem | None:
    effort = members(payload.get("output_config")).get("effort")
    if effort in (None, "low", "medium", "high", "max"):
        return None
    text = f"output_config.effort: '{effort}' is not supported by this model. Supported: low, medium, high, max"
    return _invalid(text)


_RULES: tuple[Callable[[Json], Problem | None], ...] = (
    _names_what_it_needs,
    _has_turns,
    _knows_the_roles,
    _asks_for_a_possible_length,
    _samples_within_bounds,
    _ends_with_the_user,
    _effort_is_known,
)
