"""What may be wrong with a chat body of the right shape."""

from typing import Final

from allweather.dialects.invalid import (
    Invalid,
    check_model,
    check_positive,
    check_range,
    missing,
    unsupported,
)
from allweather.dialects.openai_chat.shape import Body, Choice, Message, Part

ROLES: Final = ("developer", "system", "user", "assistant", "tool", "function")
PARTS: Final = ("text", "image_url", "refusal", "file", "input_audio")
IMAGE_SCHEMES: Final = ("https://", "http://", "data:image/")
TOOLS: Final = ("function", "custom")
TOOL_CHOICES: Final = ("none", "auto", "required")
FORMATS: Final = ("text", "json_object", "json_schema")
MAX_CHOICES: Final = 128


def check(chat: Body) -> None:
    """Raise `Invalid` for the first thing that has the right type and the wrong value."""
    check_model(chat.model)
    if not chat.messages:
        raise Invalid("empty_array", "Invalid 'messages': expected at least one message.", "messages")
    for index, message in enumerate(chat.messages):
        _check_message(message, index)
    _check_numbers(chat)
    _check_tools(chat)
    _check_format(chat)


def _check_message(message: Message, index: int) -> None:
    if message.role not in ROLES:
        raise unsupported(f"messages[{index}].role", message.role, ROLES)
    if isinstance(message.content, list):
        for place, part in enumerate(message.content):
            _check_part(part, index, place)
    elif message.content is None and not _may_be_silent(message):
        raise missing(f"messages[{index}].content")
    if message.role == "tool" and not message.tool_call_id:
        raise missing(f"messages[{index}].tool_call_id")
    for place, call in enumerate(message.tool_calls or ()):
        if call.type == "function" and call.function is None:
            raise missing(f"messages[{index}].tool_calls[{place}].function")


def _may_be_silent(message: Message) -> bool:
    said = message.tool_calls or message.function_call or message.refusal or message.audio
    return message.role == "assistant" and bool(said)


def _check_part(part: Part, index: int, place: int) -> None:
    """Where it stands is only written when something is wrong."""
    if part.type not in PARTS:
        raise unsupported(_field(index, place, "type"), part.type, PARTS)
    if getattr(part, part.type) is None:
        raise missing(_field(index, place, part.type))
    if part.image_url is not None and not part.image_url.url.startswith(IMAGE_SCHEMES):
        param = _field(index, place, "image_url.url")
        raise Invalid("invalid_image_url", f"'{param}' starts with one of {', '.join(IMAGE_SCHEMES)}.", param)
    if part.file is not None and part.file.file_data is None and part.file.file_id is None:
        raise missing(_field(index, place, "file.file_data"))


def _field(index: int, place: int, name: str) -> str:
    return f"messages[{index}].content[{place}].{name}"


def _check_numbers(chat: Body) -> None:
    check_positive("max_tokens", chat.max_tokens)
    check_positive("max_completion_tokens", chat.max_completion_tokens)
    check_range("temperature", chat.temperature, 2)
    check_range("top_p", chat.top_p, 1)
    check_range("top_logprobs", chat.top_logprobs, 20)
    check_positive("n", chat.n)
    if chat.n is not None and chat.n > MAX_CHOICES:
        raise Invalid("integer_above_max_value", f"Invalid 'n': expected a value <= {MAX_CHOICES}.", "n")


def _check_tools(chat: Body) -> None:
    for index, tool in enumerate(chat.tools or ()):
        if tool.type not in TOOLS:
            raise unsupported(f"tools[{index}].type", tool.type, TOOLS)
        if tool.type == "function" and tool.function is None:
            raise missing(f"tools[{index}].function")
    chosen = chat.tool_choice
    if isinstance(chosen, str) and chosen not in TOOL_CHOICES:
        raise unsupported("tool_choice", chosen, TOOL_CHOICES)
    if isinstance(chosen, Choice) and chosen.type == "function" and chosen.function is None:
        raise missing("tool_choice.function")


def _check_format(chat: Body) -> None:
    asked = chat.response_format
    if asked and asked.type not in FORMATS:
        raise unsupported("response_format.type", asked.type, FORMATS)
    if asked and asked.type == "json_schema" and asked.json_schema is None:
        raise missing("response_format.json_schema")
