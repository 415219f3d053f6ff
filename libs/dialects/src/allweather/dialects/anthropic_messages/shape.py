"""The body of Anthropic Messages as it is written, and what becomes of each field."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from allweather.contracts.conversation import Json
from allweather.contracts.slip import Capability, Parameter
from allweather.dialects.fields import HINT, READ, Fate, native

FIELDS: Final[Mapping[str, Fate]] = {
    **dict.fromkeys(
        (
            *("model", "max_tokens", "messages", "system", "stream", "tools", "tool_choice", "metadata"),
            *("temperature", "top_p", "top_k", "stop_sequences", "thinking", "output_config"),
        ),
        READ,
    ),
    "cache_control": HINT,
    "diagnostics": HINT,
    "service_tier": native("auto", "standard_only"),
    "inference_geo": native("global"),
    "speed": native("standard"),
    "container": native(),
    "context_management": native(),
    "mcp_servers": native([]),
    "output_format": native(),
    "user_profile_id": native(),
    "workspace_id": native(),
}

NAMES: Final[Mapping[Capability | Parameter, str]] = {
    Capability.JSON_SCHEMA: "output_config.format",
    Capability.PARALLEL_TOOLS: "tool_choice",
    Capability.REASONING: "thinking",
    Capability.STREAMING: "stream",
    Capability.TOOLS: "tools",
    Capability.VISION: "messages",
    Parameter.DOCUMENTS: "messages",
    Parameter.DOCUMENT_URLS: "messages",
    Parameter.HIGH_TEMPERATURE: "temperature",
    Parameter.IMAGE_URLS: "messages",
    Parameter.MANY_STOPS: "stop_sequences",
    Parameter.SERIAL_TOOLS: "tool_choice",
    Parameter.STOP: "stop_sequences",
    Parameter.TOOL_IMAGES: "messages",
}
"""In which field the caller asks for a capability or a parameter, where that is not its own name."""


class CacheControl(msgspec.Struct):
    type: str = "ephemeral"
    ttl: str | None = None


class Source(msgspec.Struct):
    """Where an image or a document comes from."""

    type: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None


class Block(msgspec.Struct):
    type: str
    text: str | None = None
    source: Source | None = None
    title: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw(b"")
    tool_use_id: str | None = None
    content: Any = None
    is_error: bool | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    cache_control: CacheControl | None = None


class Message(msgspec.Struct):
    role: str
    content: str | list[Block]


class Tool(msgspec.Struct):
    name: str
    type: str | None = None
    description: str | None = None
    input_schema: Json | None = None
    strict: bool | None = None
    cache_control: CacheControl | None = None


class ToolChoice(msgspec.Struct):
    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class Thinking(msgspec.Struct):
    type: str
    budget_tokens: int | None = None
    display: str | None = None


class Format(msgspec.Struct):
    type: str
    schema: Json | None = None


class OutputConfig(msgspec.Struct):
    format: Format | None = None
    effort: str | None = None


class Metadata(msgspec.Struct):
    user_id: str | None = None


class Body(msgspec.Struct):
    """Fields that are not named here are in `FIELDS` with another fate, or unknown to us."""

    model: str
    max_tokens: int
    messages: list[Message]
    system: str | list[Block] | None = None
    stream: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    metadata: Metadata | None = None
