"""The body of OpenAI Chat Completions as it is written, and what becomes of each field."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from allweather.contracts.conversation import Json
from allweather.contracts.slip import Capability, Parameter
from allweather.dialects.fields import HINT, READ, Fate, native

FIELDS: Final[Mapping[str, Fate]] = {
    **dict.fromkeys(
        (
            *("model", "messages", "stream", "stream_options", "tools", "tool_choice", "parallel_tool_calls"),
            *("n", "max_tokens", "max_completion_tokens", "temperature", "top_p", "stop", "seed", "logit_bias"),
            *("presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "response_format"),
            *("reasoning_effort", "verbosity", "user", "safety_identifier"),
        ),
        READ,
    ),
    "metadata": HINT,
    "prompt_cache_key": HINT,
    "prompt_cache_retention": HINT,
    "prompt_cache_options": HINT,
    "service_tier": native("auto", "default"),
    "store": native(False),
    "modalities": native(["text"]),
    "audio": native(),
    "prediction": native(),
    "moderation": native(),
    "functions": native([]),
    "function_call": native("auto", "none"),
    "web_search_options": native(),
}

NAMES: Final[Mapping[Capability | Parameter, str]] = {
    Capability.JSON_SCHEMA: "response_format",
    Capability.PARALLEL_TOOLS: "parallel_tool_calls",
    Capability.REASONING: "reasoning_effort",
    Capability.STREAMING: "stream",
    Capability.TOOLS: "tools",
    Capability.VISION: "messages",
    Parameter.ALLOWED_TOOLS: "tool_choice",
    Parameter.CHOICES: "n",
    Parameter.DOCUMENTS: "messages",
    Parameter.DOCUMENT_URLS: "messages",
    Parameter.HIGH_TEMPERATURE: "temperature",
    Parameter.IMAGE_URLS: "messages",
    Parameter.JSON_OBJECT: "response_format",
    Parameter.MANY_STOPS: "stop",
    Parameter.SERIAL_TOOLS: "parallel_tool_calls",
    Parameter.TOOL_IMAGES: "messages",
}
"""In which field the caller asks for a capability or a parameter, where that is not its own name."""


class ImageUrl(msgspec.Struct):
    url: str
    detail: str | None = None


class File(msgspec.Struct):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class Part(msgspec.Struct):
    type: str
    text: str | None = None
    image_url: ImageUrl | None = None
    refusal: str | None = None
    file: File | None = None
    input_audio: Any = None


class Function(msgspec.Struct):
    name: str
    arguments: str = ""


class Call(msgspec.Struct):
    id: str
    function: Function | None = None
    type: str = "function"


class Detail(msgspec.Struct):
    """A thought as some servers, and our own answers, show it beside the message."""

    type: str = ""
    text: str | None = None
    summary: str | None = None
    data: str | None = None
    signature: str | None = None


class Message(msgspec.Struct):
    role: str
    content: str | list[Part] | None = None
    tool_calls: list[Call] | None = None
    tool_call_id: str | None = None
    function_call: Any = None
    refusal: str | None = None
    name: str | None = None
    audio: Any = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    reasoning_details: list[Detail] | None = None


class FunctionTool(msgspec.Struct):
    name: str
    description: str | None = None
    parameters: Json | None = None
    strict: bool | None = None


class Tool(msgspec.Struct):
    type: str
    function: FunctionTool | None = None
    custom: Json | None = None


class Named(msgspec.Struct):
    name: str


class Allowed(msgspec.Struct):
    tools: list["Choice"]
    mode: str = "auto"


class Choice(msgspec.Struct):
    """A tool choice that is more than a word."""

    type: str
    function: Named | None = None
    allowed_tools: Allowed | None = None


class StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class JsonSchema(msgspec.Struct):
    name: str
    schema: Json | None = None
    description: str | None = None
    strict: bool | None = None


class ResponseFormat(msgspec.Struct):
    type: str
    json_schema: JsonSchema | None = None


class Body(msgspec.Struct):
    """Fields that are not named here are in `FIELDS` with another fate, or unknown to us."""

    model: str
    messages: list[Message]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logit_bias: dict[str, float] | None = None
    tools: list[Tool] | None = None
    tool_choice: str | Choice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    user: str | None = None
    safety_identifier: str | None = None
