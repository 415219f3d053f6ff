"""What the GPT-5.2 model accepts and says, wherever it is served: OpenAI and Azure OpenAI."""

from collections.abc import Callable

from allweather.vendorsim.answers import Answer, Ask, Finish
from allweather.vendorsim.catalogue import Model
from allweather.vendorsim.dialects import chat
from allweather.vendorsim.wire import Json, Problem, Ticket, items, members

_ROLES = ("system", "developer", "user", "assistant", "tool", "function")


def check(payload: Json) -> Problem | None:
    """Return what is wrong with a request, or None: the first finding, as the vendor reports it."""
    return next((problem for rule in _RULES if (problem := rule(payload)) is not None), None)


def check_length(ask: Ask, model: Model) -> Problem | None:
    if ask.input_tokens <= model.window:
        return None
    return _invalid(
        f"Input tokens exceed the configured limit of {model.window} tokens. Your messages resulted in "
        f"{ask.input_tokens} tokens. Please reduce the length of the messages.",
        "context_length_exceeded",
        "messages",
    )


def read_ask(payload: Json, model: Model) -> Ask:
    return chat.read_ask(payload, model.id, reasoning_tokens=chat.REASONING_TOKENS[_effort(payload)])


def usage(ask: Ask, answer: Answer) -> Json:
    spent = chat.usage_of(ask, answer)
    return {
        "prompt_tokens": spent.input_tokens,
        "completion_tokens": spent.output_tokens,
        "total_tokens": sum(spent),
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": answer.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def head(ticket: Ticket, model: Model) -> Json:
    """Return the members that every chunk repeats."""
    return {
        "id": f"chatcmpl-{ticket.token(29, 'id')}",
        "created": int(ticket.wall),
        "model": model.id,
        "service_tier": "default",
        "system_fingerprint": None,
    }


def message(answer: Answer, tool_id: str) -> Json:
    """Return the members of a whole message besides role and content."""
    told: Json = {"refusal": chat.REFUSAL if answer.finish is Finish.REFUSED else None, "annotations": []}
    return {**told, "tool_calls": chat.tool_calls(answer, tool_id)} if answer.tool else told


def padding(ticket: Ticket, chunk_number: int) -> str:
    """Return what goes into `obfuscation`: noise that hides the length of a token from onlookers."""
    return ticket.token(4 + (ticket.number + chunk_number * 7) % 12, "obfuscation")


def _invalid(text: str, code: str | None, param: str | None) -> Problem:
    return Problem(400, text, "invalid_request_error", code, param)


def _effort(payload: Json) -> str:
    return str(payload.get("reasoning_effort") or "none")


def _has_messages(payload: Json) -> Problem | None:
    messages = payload.get("messages")
    if messages is None:
        return _invalid("Missing required parameter: 'messages'.", "missing_required_parameter", "messages")
    if not isinstance(messages, list):
        return _invalid("Invalid type for 'messages': expected an array of objects.", "invalid_type", "messages")
    if not messages:
        return _invalid(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            "empty_array",
            "messages",
        )
    return None


def _knows_the_roles(payload: Json) -> Problem | None:
    for number, each in enumerate(items(payload["messages"])):
        role = members(each).get("role")
        if role not in _ROLES:
            text = f"Invalid value: '{role}'. Supported values are: {', '.join(repr(known) for known in _ROLES)}."
            return _invalid(text, "invalid_value", f"messages[{number}].role")
    return None


def _unsupported(name: str, hint: str = "") -> Callable[[Json], Problem | None]:
    def rule(payload: Json) -> Problem | None:
        if payload.get(name) is None:
            return None
        text = f"Unsupported parameter: '{name}' is not supported with this model.{hint}"
        return _invalid(text, "unsupported_parameter", name)

    return rule


def _knows_the_effort(payload: Json) -> Problem | None:
    effort = _effort(payload)
    if effort in chat.REASONING_TOKENS:
        return None
    known = ", ".join(f"'{each}'" for each in chat.REASONING_TOKENS)
    text = (
        f"Unsupported value: 'reasoning_effort' does not support '{effort}' with this model. Supported values: {known}."
    )
    return _invalid(text, "unsupported_value", "reasoning_effort")


def _sampling_only_without_reasoning(payload: Json) -> Problem | None:
    if _effort(payload) == "none":
        return None
    for name in ("temperature", "top_p"):
        if (value := payload.get(name)) not in (None, 1, 1.0):
            text = (
                f"Unsupported value: '{name}' does not support {value} with this model. "
                "Only the default (1) value is supported."
            )
            return _invalid(text, "unsupported_value", name)
    return None


def _has_room_for_an_answer(payload: Json) -> Problem | None:
    limit = payload.get("max_completion_tokens")
    if limit is None or (isinstance(limit, int) and limit >= 1):
        return None
    text = (
        f"Invalid 'max_completion_tokens': integer below minimum value. Expected a value >= 1, but got {limit} instead."
    )
    return _invalid(text, "integer_below_min_value", "max_completion_tokens")


_RULES: tuple[Callable[[Json], Problem | None], ...] = (
    _has_messages,
    _knows_the_roles,
    _unsupported("max_tokens", " Use 'max_completion_tokens' instead."),
    _unsupported("stop"),
    _knows_the_effort,
    _sampling_only_without_reasoning,
    _has_room_for_an_answer,
)
