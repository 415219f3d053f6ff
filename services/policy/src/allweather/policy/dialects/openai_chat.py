"""The body of OpenAI Chat Completions. Fields that are not named here are the vendor's business and pass unread."""

from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from allweather.contracts.slip import Capability, Needs
from allweather.policy.dialects.asked import Asked
from allweather.policy.dialects.json_body import decode
from allweather.policy.invalid import Invalid, quoted

MAX_MODEL: Final = 256
IMAGE_TOKENS: Final = 1500
"""Upper bound for one image, however large its bytes."""
BYTES_PER_TOKEN: Final = 3

_ROLES = ("developer", "system", "user", "assistant", "tool", "function")
_PARTS = ("text", "image_url", "refusal")
_IMAGE_SCHEMES = ("https://", "http://", "data:image/")


class _Image(msgspec.Struct):
    url: str


class _Part(msgspec.Struct):
    type: str
    text: str | None = None
    image_url: _Image | None = None
    refusal: str | None = None


class _Message(msgspec.Struct):
    role: str
    content: str | list[_Part] | None = None
    tool_calls: list[msgspec.Raw] | None = None
    tool_call_id: str | None = None
    function_call: msgspec.Raw | None = None
    refusal: str | None = None


class _Tool(msgspec.Struct):
    type: str


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _JsonSchema(msgspec.Struct):
    name: str


class _ResponseFormat(msgspec.Struct):
    type: str
    json_schema: _JsonSchema | None = None


class _Body(msgspec.Struct):
    model: str
    messages: list[_Message]
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    n: int | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: str | list[str] | None = None
    tools: list[_Tool] | None = None
    parallel_tool_calls: bool | None = None
    response_format: _ResponseFormat | None = None
    reasoning_effort: str | None = None


_decoder = msgspec.json.Decoder(_Body)


def read(body: bytes) -> Asked:
    """What the body asks for. Raises `Invalid`, naming the field."""
    chat = decode(_decoder, body)
    _check(chat)
    options = chat.stream_options
    return Asked(
        route=chat.model,
        stream=bool(chat.stream),
        include_usage=bool(options and options.include_usage),
        needs=_needs(chat, body),
    )


def _needs(chat: _Body, body: bytes) -> Needs:
    images = [image for message in chat.messages for image in _images(message)]
    text = len(body) - sum(len(image.url) for image in images)
    return Needs(
        capabilities=tuple(_capabilities(chat, bool(images))),
        input_tokens=-(-text // BYTES_PER_TOKEN) + IMAGE_TOKENS * len(images),
        output_tokens=chat.max_completion_tokens or chat.max_tokens,
    )


def _capabilities(chat: _Body, images: bool) -> Iterator[Capability]:
    if chat.stream:
        yield Capability.STREAMING
    if chat.tools:
        yield Capability.TOOLS
        if chat.parallel_tool_calls:
            yield Capability.PARALLEL_TOOLS
    if images:
        yield Capability.VISION
    if chat.response_format and chat.response_format.type == "json_schema":
        yield Capability.JSON_SCHEMA
    if chat.reasoning_effort not in {None, "none"}:
        yield Capability.REASONING


def _images(message: _Message) -> Iterator[_Image]:
    if isinstance(message.content, list):
        yield from (part.image_url for part in message.content if part.image_url is not None)


def _check(chat: _Body) -> None:
    """Raise `Invalid` for the first thing that has the right type and the wrong value."""
    if not chat.model or len(chat.model) > MAX_MODEL:
        raise Invalid("invalid_value", f"'model' is a name of 1 to {MAX_MODEL} characters.", "model")
    if not chat.messages:
        raise Invalid("empty_array", "Invalid 'messages': expected at least one message.", "messages")
    for index, message in enumerate(chat.messages):
        _check_message(message, f"messages[{index}]")
    _check_numbers(chat)
    _check_choices(chat)


def _check_message(message: _Message, at: str) -> None:
    if message.role not in _ROLES:
        raise _unsupported(f"{at}.role", message.role, _ROLES)
    if isinstance(message.content, list):
        for index, part in enumerate(message.content):
            _check_part(part, f"{at}.content[{index}]")
    elif message.content is None and not _may_be_silent(message):
        param = f"{at}.content"
        raise Invalid("missing_required_parameter", f"Missing required parameter: '{param}'.", param)
    if message.role == "tool" and not message.tool_call_id:
        param = f"{at}.tool_call_id"
        raise Invalid("missing_required_parameter", f"Missing required parameter: '{param}'.", param)


def _may_be_silent(message: _Message) -> bool:
    said = message.tool_calls or message.function_call or message.refusal
    return message.role == "assistant" and bool(said)


def _check_part(part: _Part, at: str) -> None:
    if part.type not in _PARTS:
        raise _unsupported(f"{at}.type", part.type, _PARTS)
    if getattr(part, part.type) is None:
        param = f"{at}.{part.type}"
        raise Invalid("missing_required_parameter", f"Missing required parameter: '{param}'.", param)
    if part.image_url is not None and not part.image_url.url.startswith(_IMAGE_SCHEMES):
        param = f"{at}.image_url.url"
        raise Invalid("invalid_image_url", f"'{param}' starts with one of {', '.join(_IMAGE_SCHEMES)}.", param)


def _check_numbers(chat: _Body) -> None:
    for param in ("max_tokens", "max_completion_tokens"):
        value = getattr(chat, param)
        if value is not None and value < 1:
            reason = f"Invalid '{param}': expected a value >= 1, but got {value} instead."
            raise Invalid("integer_below_min_value", reason, param)
    for param, most in (("temperature", 2), ("top_p", 1)):
        value = getattr(chat, param)
        if value is not None and not 0 <= value <= most:
            reason = f"Invalid '{param}': expected a value from 0 to {most}, but got {value} instead."
            raise Invalid("decimal_out_of_range", reason, param)
    if chat.n not in {None, 1}:
        raise Invalid("unsupported_value", f"Unsupported value: 'n' is {chat.n}; only 1 is supported.", "n")


def _check_choices(chat: _Body) -> None:
    for index, tool in enumerate(chat.tools or ()):
        if tool.type != "function":
            raise _unsupported(f"tools[{index}].type", tool.type, ("function",))
    asked = chat.response_format
    kinds: tuple[Literal["text", "json_object", "json_schema"], ...] = ("text", "json_object", "json_schema")
    if asked and asked.type not in kinds:
        raise _unsupported("response_format.type", asked.type, kinds)
    if asked and asked.type == "json_schema" and asked.json_schema is None:
        param = "response_format.json_schema"
        raise Invalid("missing_required_parameter", f"Missing required parameter: '{param}'.", param)


def _unsupported(param: str, value: str, known: tuple[str, ...]) -> Invalid:
    reason = f"Unsupported value: '{param}' is {quoted(value)}; supported: {', '.join(known)}."
    return Invalid("unsupported_value", reason, param)
