"""The body of OpenAI Responses as it is written, and what becomes of each field."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from allweather.contracts.conversation import Json
from allweather.contracts.slip import Capability, Parameter
from allweather.dialects.fields import HINT, OURS, READ, Fate, native

FIELDS: Final[Mapping[str, Fate]] = {
    **dict.fromkeys(
        (
            *("model", "input", "instructions", "stream", "tools", "tool_choice", "parallel_tool_calls", "text"),
            *("reasoning", "max_output_tokens", "temperature", "top_p", "top_logprobs", "include", "user"),
            "safety_identifier",
            "store",
        ),
        READ,
    ),
    **dict.fromkeys(("background", "background_options"), OURS),
    **dict.fromkeys(
        ("metadata", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "stream_options"), HINT
    ),
    "truncation": native("disabled"),
    "service_tier": native("auto", "default"),
    "previous_response_id": native(),
    "conversation": native(),
    "context_management": native([]),
    "access_programs": native(),
    "image": native(),
    "max_tool_calls": native(),
    "moderation": native(),
    "prompt": native(),
}

NAMES: Final[Mapping[Capability | Parameter, str]] = {
    Capability.JSON_SCHEMA: "text.format",
    Capability.PARALLEL_TOOLS: "parallel_tool_calls",
    Capability.REASONING: "reasoning",
    Capability.STREAMING: "stream",
    Capability.TOOLS: "tools",
    Capability.VISION: "input",
    Parameter.ALLOWED_TOOLS: "tool_choice",
    Parameter.DOCUMENTS: "input",
    Parameter.DOCUMENT_URLS: "input",
    Parameter.HIGH_TEMPERATURE: "temperature",
    Parameter.IMAGE_URLS: "input",
    Parameter.JSON_OBJECT: "text.format",
    Parameter.LOGPROBS: "top_logprobs",
    Parameter.SERIAL_TOOLS: "parallel_tool_calls",
    Parameter.TOOL_IMAGES: "input",
    Parameter.VERBOSITY: "text.verbosity",
}
"""In which field the caller asks for a capability or a parameter, where that is not its own name."""


class Part(msgspec.Struct):
    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None
    detail: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    filename: str | None = None


class Summary(msgspec.Struct):
    text: str = ""


class Item(msgspec.Struct):
    """Any item of the input; which fields it has depends on its type."""

    type: str = "message"
    id: str | None = None
    role: str | None = None
    content: str | list[Part] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: Any = None
    summary: list[Summary] | None = None
    encrypted_content: str | None = None


class Tool(msgspec.Struct):
    type: str
    name: str | None = None
    description: str | None = None
    parameters: Json | None = None
    strict: bool | None = None


class Choice(msgspec.Struct):
    """A tool choice that is more than a word."""

    type: str
    name: str | None = None
    mode: str | None = None
    tools: list[Tool] | None = None


class Format(msgspec.Struct):
    type: str
    name: str | None = None
    schema: Json | None = None
    description: str | None = None
    strict: bool | None = None


class TextOptions(msgspec.Struct):
    format: Format | None = None
    verbosity: str | None = None


class ReasoningOptions(msgspec.Struct):
    effort: str | None = None
    summary: str | None = None


class Body(msgspec.Struct):
    """Fields that are not named here are in `FIELDS` with another fate, or unknown to us."""

    model: str
    input: str | list[Item]
    instructions: str | list[Item] | None = None
    stream: bool | None = None
    tools: list[Tool] | None = None
    tool_choice: str | Choice | None = None
    parallel_tool_calls: bool | None = None
    text: TextOptions | None = None
    reasoning: ReasoningOptions | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    include: list[str] | None = None
    store: bool | None = None
    user: str | None = None
    safety_identifier: str | None = None
