"""A Responses body as a conversation."""

from collections.abc import Iterator
from typing import Any, Final, Literal, cast

import msgspec

from allweather.contracts.conversation import (
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
    Refusal,
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
from allweather.dialects import fields, media
from allweather.dialects.invalid import Invalid
from allweather.dialects.json_body import decode
from allweather.dialects.openai_responses import shape
from allweather.dialects.openai_responses.checks import check, check_part

ORIGIN: Final = Origin(Dialect.OPENAI_RESPONSES)
INSTRUCTING: Final = frozenset({"system", "developer"})
LOGPROBS: Final = "message.output_text.logprobs"
INCLUDED: Final = frozenset({LOGPROBS, "reasoning.encrypted_content"})
"""What may be asked to be included and is not about tools that OpenAI runs."""

_decoder = msgspec.json.Decoder(shape.Body)


def read(body: bytes) -> Conversation:
    """The conversation in a body. Raises `Invalid`, naming the field."""
    asked = decode(_decoder, body)
    check(asked)
    items = [shape.Item(role="user", content=asked.input)] if isinstance(asked.input, str) else asked.input
    options, reasoning = asked.text or shape.TextOptions(), asked.reasoning
    return Conversation(
        model=asked.model,
        turns=merged(turn for index, item in enumerate(items) for turn in _turns(item, f"input[{index}]")),
        instructions=tuple(_instructions(asked.instructions, items)),
        tools=tuple(map(_tool, asked.tools or ())),
        tool_choice=_tool_choice(asked.tool_choice),
        parallel_tools=asked.parallel_tool_calls,
        format=_format(options.format),
        thinking=_thinking(reasoning) if reasoning else None,
        max_output_tokens=asked.max_output_tokens,
        temperature=asked.temperature,
        top_p=asked.top_p,
        logprobs=_logprobs(asked),
        verbosity=options.verbosity or "",
        user=asked.safety_identifier or asked.user or "",
        stream=bool(asked.stream),
        include_usage=True,
        others=(*fields.others(body, shape.FIELDS), *_others(asked, items)),
    )


def _others(asked: shape.Body, items: list[shape.Item]) -> Iterator[str]:
    for index, item in enumerate(items):
        if item.type == "item_reference":
            yield f"input[{index}]"
        if isinstance(item.content, list) and any(part.file_id for part in item.content):
            yield f"input[{index}].content"
    if not INCLUDED.issuperset(asked.include or ()):
        yield "include"
    if isinstance(asked.tool_choice, shape.Choice) and asked.tool_choice.type not in ("function", "allowed_tools"):
        yield "tool_choice"


def _instructions(given: str | list[shape.Item] | None, items: list[shape.Item]) -> Iterator[Text]:
    if isinstance(given, str):
        yield Text(given)
    elif given:
        yield from (Text(_text(item)) for item in given)
    yield from (Text(_text(item)) for item in items if item.role in INSTRUCTING)


def _turns(item: shape.Item, at: str) -> Iterator[Turn]:
    match item.type:
        case "message":
            if item.role not in INSTRUCTING:
                yield Turn("assistant" if item.role == "assistant" else "user", tuple(_said(item.content)))
        case "function_call":
            yield Turn("assistant", (ToolCall(item.call_id or "", item.name or "", item.arguments or ""),))
        case "function_call_output":
            yield Turn("user", (ToolResult(item.call_id or "", tuple(_shown(item.output, f"{at}.output"))),))
        case "reasoning":
            yield Turn("assistant", (_thought(item),))
        case _:
            yield Turn("assistant", (Opaque(ORIGIN, cast(Json, msgspec.to_builtins(item))),))


def _said(content: str | list[shape.Part] | None) -> Iterator[Part]:
    if isinstance(content, str):
        if content:
            yield Text(content)
        return
    for part in content or ():
        if part.text:
            yield Text(part.text)
        elif part.refusal:
            yield Refusal(part.refusal)
        elif part.image_url is not None:
            yield media.image(part.image_url, part.detail)
        elif part.file_data is not None:
            yield media.document(part.file_data, part.filename)
        elif part.file_url is not None:
            yield Document(url=part.file_url, name=part.filename or "")


def _shown(output: Any, at: str) -> Iterator[Text | Image | Document]:
    """The result of a tool: a text, or parts."""
    try:
        content: str | list[shape.Part] = msgspec.convert(output, str | list[shape.Part])
    except msgspec.ValidationError:
        raise Invalid("invalid_type", f"'{at}' is a text or a list of parts.", at) from None
    for place, part in enumerate(content if isinstance(content, list) else ()):
        check_part(part, f"{at}[{place}]")
    yield from (part for part in _said(content) if isinstance(part, Text | Image | Document))


def _thought(item: shape.Item) -> Reasoning:
    """A thought: OpenAI's own, or another vendor's that we had sealed."""
    text = "\n\n".join(summary.text for summary in item.summary or ())
    sealed = unseal(item.encrypted_content or "")
    if sealed is not None:
        return msgspec.structs.replace(sealed, text=text)
    return Reasoning(text, item.encrypted_content or "", ORIGIN, item.id or "")


def _text(item: shape.Item) -> str:
    if isinstance(item.content, str):
        return item.content
    return "".join(part.text or "" for part in item.content or ())


def _tool(tool: shape.Tool) -> Tool | HostedTool:
    if tool.type != "function":
        return HostedTool(ORIGIN, cast(Json, msgspec.to_builtins(tool)))
    return Tool(tool.name or "", tool.description or "", tool.parameters, tool.strict)


_MODES: Final[dict[str, Literal["auto", "none", "required"]]] = {
    "auto": "auto",
    "none": "none",
    "required": "required",
}


def _tool_choice(choice: str | shape.Choice | None) -> ToolChoice | None:
    if choice is None:
        return None
    if isinstance(choice, str):
        return ToolChoice(_MODES[choice])
    if choice.type == "function":
        return ToolChoice("named", choice.name or "")
    if choice.type == "allowed_tools":
        names = tuple(tool.name for tool in choice.tools or () if tool.name)
        return ToolChoice(_MODES.get(choice.mode or "", "auto"), allowed=names)
    return None


def _format(asked: shape.Format | None) -> JsonFormat | None:
    if asked is None or asked.type == "text":
        return None
    return JsonFormat(asked.schema, asked.name or "answer", asked.description or "", asked.strict)


def _thinking(asked: shape.ReasoningOptions) -> Thinking | None:
    if asked.effort is None and asked.summary is None:
        return None
    return Thinking(asked.effort or "", shown=True if asked.summary else None)


def _logprobs(asked: shape.Body) -> int | None:
    wanted = asked.top_logprobs is not None or LOGPROBS in (asked.include or ())
    return (asked.top_logprobs or 0) if wanted else None
