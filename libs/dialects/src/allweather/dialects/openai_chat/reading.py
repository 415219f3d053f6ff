"""A chat body as a conversation."""

from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from allweather.contracts.conversation import (
    Conversation,
    HostedTool,
    Image,
    JsonFormat,
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
from allweather.dialects.json_body import decode
from allweather.dialects.openai_chat import shape
from allweather.dialects.openai_chat.checks import check

ORIGIN: Final = Origin(Dialect.OPENAI_CHAT)
INSTRUCTING: Final = frozenset({"system", "developer"})

_decoder = msgspec.json.Decoder(shape.Body)


def read(body: bytes) -> Conversation:
    """The conversation in a body. Raises `Invalid`, naming the field."""
    chat = decode(_decoder, body)
    check(chat)
    schema = chat.response_format
    return Conversation(
        model=chat.model,
        turns=merged(_turn(message) for message in chat.messages if message.role not in INSTRUCTING),
        instructions=tuple(Text(_text(m)) for m in chat.messages if m.role in INSTRUCTING),
        tools=tuple(map(_tool, chat.tools or ())),
        tool_choice=_tool_choice(chat.tool_choice),
        parallel_tools=chat.parallel_tool_calls,
        format=_format(schema) if schema and schema.type != "text" else None,
        thinking=Thinking(chat.reasoning_effort) if chat.reasoning_effort else None,
        max_output_tokens=chat.max_completion_tokens or chat.max_tokens,
        temperature=chat.temperature,
        top_p=chat.top_p,
        stops=(chat.stop,) if isinstance(chat.stop, str) else tuple(chat.stop or ()),
        seed=chat.seed,
        choices=chat.n or 1,
        presence_penalty=chat.presence_penalty,
        frequency_penalty=chat.frequency_penalty,
        logprobs=(chat.top_logprobs or 0) if chat.logprobs else None,
        logit_bias=chat.logit_bias,
        verbosity=chat.verbosity or "",
        user=chat.safety_identifier or chat.user or "",
        stream=bool(chat.stream),
        include_usage=bool(chat.stream_options and chat.stream_options.include_usage),
        others=(*fields.others(body, shape.FIELDS), *_others(chat)),
    )


def _others(chat: shape.Body) -> Iterator[str]:
    """Places below the top level that have no equal elsewhere."""
    for index, message in enumerate(chat.messages):
        if message.role == "function" or message.function_call or message.audio:
            yield f"messages[{index}]"
        if message.name and message.role != "tool":
            yield f"messages[{index}].name"
        if message.tool_calls and any(call.function is None for call in message.tool_calls):
            yield f"messages[{index}].tool_calls"
        if isinstance(message.content, list):
            yield from (f"messages[{index}].content" for part in message.content if _is_other(part))
    if isinstance(chat.tool_choice, shape.Choice) and chat.tool_choice.type not in ("function", "allowed_tools"):
        yield "tool_choice"


def _is_other(part: shape.Part) -> bool:
    return part.input_audio is not None or (part.file is not None and part.file.file_data is None)


def _turn(message: shape.Message) -> Turn:
    if message.role == "tool":
        result = ToolResult(message.tool_call_id or "", tuple(_shown(message)))
        return Turn("user", (result,))
    if message.role == "assistant":
        return Turn("assistant", tuple(_answered(message)))
    return Turn("user", tuple(_said(message)))


def _answered(message: shape.Message) -> Iterator[Part]:
    yield from _thoughts(message)
    yield from _said(message)
    if message.refusal:
        yield Refusal(message.refusal)
    for call in message.tool_calls or ():
        if call.function is not None:
            yield ToolCall(call.id, call.function.name, call.function.arguments)


def _thoughts(message: shape.Message) -> Iterator[Part]:
    for detail in message.reasoning_details or ():
        thought = unseal(detail.signature or detail.data or "") or Reasoning()
        yield msgspec.structs.replace(thought, text=detail.text or detail.summary or "")
    said = message.reasoning or message.reasoning_content
    if said and not message.reasoning_details:
        yield Reasoning(said)


def _said(message: shape.Message) -> Iterator[Part]:
    if isinstance(message.content, str):
        if message.content:
            yield Text(message.content)
        return
    for part in message.content or ():
        if part.type == "text" and part.text:
            yield Text(part.text)
        elif part.image_url is not None:
            yield media.image(part.image_url.url, part.image_url.detail)
        elif part.refusal:
            yield Refusal(part.refusal)
        elif part.file is not None and part.file.file_data is not None:
            yield media.document(part.file.file_data, part.file.filename)


def _shown(message: shape.Message) -> Iterator[Text | Image]:
    """The result of a tool."""
    return (part for part in _said(message) if isinstance(part, Text | Image))


def _text(message: shape.Message) -> str:
    if isinstance(message.content, str):
        return message.content
    return "".join(part.text or "" for part in message.content or ())


def _tool(tool: shape.Tool) -> Tool | HostedTool:
    function = tool.function
    if function is None:
        return HostedTool(ORIGIN, {"type": tool.type, tool.type: tool.custom})
    return Tool(function.name, function.description or "", function.parameters, function.strict)


def _tool_choice(choice: str | shape.Choice | None) -> ToolChoice | None:
    if choice is None:
        return None
    if isinstance(choice, str):
        return ToolChoice(_MODES[choice])
    if choice.function is not None:
        return ToolChoice("named", choice.function.name)
    if choice.allowed_tools is not None:
        names = (tool.function.name for tool in choice.allowed_tools.tools if tool.function)
        return ToolChoice(_MODES.get(choice.allowed_tools.mode, "auto"), allowed=tuple(names))
    return None


_MODES: Final[dict[str, Literal["auto", "none", "required"]]] = {
    "auto": "auto",
    "none": "none",
    "required": "required",
}


def _format(asked: shape.ResponseFormat) -> JsonFormat:
    schema = asked.json_schema
    if schema is None:
        return JsonFormat()
    return JsonFormat(schema.schema or {}, schema.name, schema.description or "", schema.strict)
