"""A Messages body as a conversation."""

from collections.abc import Iterator
from typing import Any, Final, Literal, cast

import msgspec

from allweather.contracts.conversation import (
    REDACTED,
    Conversation,
    Document,
    HostedTool,
    Image,
    Json,
    JsonFormat,
    Opaque,
    Origin,
    Part,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
    merged,
    unseal,
)
from allweather.contracts.slip import Dialect
from allweather.dialects import fields
from allweather.dialects.anthropic_messages import shape
from allweather.dialects.anthropic_messages.checks import check
from allweather.dialects.invalid import Invalid
from allweather.dialects.json_body import decode

ORIGIN: Final = Origin(Dialect.ANTHROPIC_MESSAGES)

_decoder = msgspec.json.Decoder(shape.Body)


def read(body: bytes) -> Conversation:
    """The conversation in a body. Raises `Invalid`, naming the field."""
    asked = decode(_decoder, body)
    check(asked)
    choice = asked.tool_choice
    spoken = [message for message in asked.messages if message.role != "system"]
    return Conversation(
        model=asked.model,
        turns=merged(Turn(_side(m), tuple(_parts(m.content, f"messages[{i}]"))) for i, m in enumerate(spoken)),
        instructions=tuple(_instructions(asked)),
        tools=tuple(map(_tool, asked.tools or ())),
        tool_choice=_tool_choice(choice) if choice else None,
        parallel_tools=False if choice and choice.disable_parallel_tool_use else None,
        format=_format(asked.output_config),
        thinking=_thinking(asked),
        max_output_tokens=asked.max_tokens,
        temperature=asked.temperature,
        top_p=asked.top_p,
        top_k=asked.top_k,
        stops=tuple(asked.stop_sequences or ()),
        user=(asked.metadata and asked.metadata.user_id) or "",
        stream=bool(asked.stream),
        include_usage=True,
        others=(*fields.others(body, shape.FIELDS), *_others(asked)),
    )


def _others(asked: shape.Body) -> Iterator[str]:
    for index, message in enumerate(asked.messages):
        blocks = message.content if isinstance(message.content, list) else []
        if any(block.source is not None and block.source.type in ("file", "content") for block in blocks):
            yield f"messages[{index}].content"
    if asked.thinking and asked.thinking.type == "between_tools":
        yield "thinking"


def _side(message: shape.Message) -> Literal["user", "assistant"]:
    return "assistant" if message.role == "assistant" else "user"


def _instructions(asked: shape.Body) -> Iterator[Text]:
    contents = [asked.system, *(m.content for m in asked.messages if m.role == "system")]
    for content in contents:
        if isinstance(content, str):
            yield Text(content)
        else:
            yield from (Text(block.text or "", _cache(block.cache_control)) for block in content or ())


def _parts(content: str | list[shape.Block], at: str) -> Iterator[Part]:
    if isinstance(content, str):
        if content:
            yield Text(content)
        return
    for place, block in enumerate(content):
        yield from _part(block, f"{at}.content[{place}]")


def _part(block: shape.Block, at: str) -> Iterator[Part]:
    cache = _cache(block.cache_control)
    match block.type:
        case "text":
            if block.text:
                yield Text(block.text, cache)
        case "tool_use":
            yield ToolCall(block.id or "", block.name or "", bytes(block.input).decode(), cache)
        case "tool_result":
            shown = tuple(_shown(block.content, at))
            yield ToolResult(block.tool_use_id or "", shown, bool(block.is_error), cache)
        case "image" | "document":
            yield from _medium(block, cache)
        case "thinking" | "redacted_thinking":
            yield _thought(block)
        case _:
            yield Opaque(ORIGIN, cast(Json, msgspec.to_builtins(block)))


def _medium(block: shape.Block, cache: str | None) -> Iterator[Image | Document]:
    source = block.source
    if source is None or source.type in ("file", "content"):
        return
    given = {"url": source.url or "", "data": source.data or "", "media_type": source.media_type or ""}
    yield (
        Image(**given, cache=cache) if block.type == "image" else Document(**given, name=block.title or "", cache=cache)
    )


def _shown(content: Any, at: str) -> Iterator[Text | Image | Document]:
    """The result of a tool: a text, or blocks."""
    try:
        blocks = msgspec.convert(content or [], str | list[shape.Block])
    except msgspec.ValidationError:
        raise Invalid("invalid_type", f"'{at}.content' is a text or a list of blocks.", f"{at}.content") from None
    for part in _parts(blocks, at):
        if isinstance(part, Text | Image | Document):
            yield part


def _thought(block: shape.Block) -> Reasoning:
    """A thought: Anthropic's own, or another vendor's that we had sealed."""
    token = block.signature if block.type == "thinking" else block.data
    sealed = unseal(token or "")
    if sealed is not None:
        return msgspec.structs.replace(sealed, text=block.thinking or "")
    return Reasoning(block.thinking or "", token or "", ORIGIN, REDACTED if block.type == "redacted_thinking" else "")


def _tool(tool: shape.Tool) -> Tool | HostedTool:
    if tool.type not in (None, "custom"):
        return HostedTool(ORIGIN, cast(Json, msgspec.to_builtins(tool)))
    return Tool(tool.name, tool.description or "", tool.input_schema, tool.strict, _cache(tool.cache_control))


_MODES: Final[dict[str, Literal["auto", "none", "required", "named"]]] = {
    "auto": "auto",
    "none": "none",
    "any": "required",
    "tool": "named",
}


def _tool_choice(choice: shape.ToolChoice) -> ToolChoice:
    return ToolChoice(_MODES[choice.type], choice.name or "")


def _format(config: shape.OutputConfig | None) -> JsonFormat | None:
    asked = config and config.format
    return JsonFormat(asked.schema or {}, "answer", strict=True) if asked and asked.type == "json_schema" else None


def _thinking(asked: shape.Body) -> Thinking | None:
    effort = (asked.output_config and asked.output_config.effort) or ""
    thinking = asked.thinking
    if thinking is None:
        return Thinking(effort) if effort else None
    if thinking.type == "disabled":
        return Thinking("none")
    return Thinking(effort, thinking.budget_tokens, thinking.display != "omitted")


def _cache(control: shape.CacheControl | None) -> str | None:
    return None if control is None else control.ttl or "5m"
