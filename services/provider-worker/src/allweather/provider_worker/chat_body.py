"""A conversation as the body of Chat Completions, for vendors that speak it, from callers who do not."""

from collections.abc import Iterator, Sequence
from typing import Final

from allweather.contracts.conversation import (
    Conversation,
    Document,
    HostedTool,
    Image,
    Json,
    JsonFormat,
    Part,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
    Turn,
)
from allweather.dialects.media import url_of
from allweather.dialects.openai_chat.rendering import message as answered
from allweather.provider_worker.effort import effort

ERROR: Final = "Error: "
"""What the text of a failed tool begins with, where there is no flag for it."""


def body(conversation: Conversation, model: str, efforts: Sequence[str], limit: str = "max_completion_tokens") -> Json:
    """The body, without `stream`. `limit` is the server's name for the most tokens of an answer."""
    optional: Json = {
        limit: conversation.max_output_tokens,
        "temperature": conversation.temperature,
        "top_p": conversation.top_p,
        "top_k": conversation.top_k,
        "stop": list(conversation.stops) or None,
        "seed": conversation.seed,
        "n": conversation.choices if conversation.choices > 1 else None,
        "presence_penalty": conversation.presence_penalty,
        "frequency_penalty": conversation.frequency_penalty,
        "logprobs": True if conversation.logprobs is not None else None,
        "top_logprobs": conversation.logprobs or None,
        "logit_bias": conversation.logit_bias,
        "verbosity": conversation.verbosity or None,
        "response_format": _format(conversation.format) if conversation.format else None,
        "reasoning_effort": _effort(conversation.thinking, efforts),
        "safety_identifier": conversation.user or None,
        **_tools(conversation),
    }
    return {
        "model": model,
        "messages": [*_instructions(conversation), *_messages(conversation.turns)],
        **{name: value for name, value in optional.items() if value is not None},
    }


def _effort(thinking: Thinking | None, efforts: Sequence[str]) -> str | None:
    return effort(thinking, efforts) if thinking else None


def _instructions(conversation: Conversation) -> Iterator[Json]:
    said = "\n\n".join(part.text for part in conversation.instructions)
    if said:
        yield {"role": "system", "content": said}


def _messages(turns: Sequence[Turn]) -> Iterator[Json]:
    for turn in turns:
        if turn.role == "assistant":
            yield from _answered(turn)
            continue
        yield from (_result(part) for part in turn.parts if isinstance(part, ToolResult))
        said = [part for part in turn.parts if isinstance(part, Text | Image | Document)]
        if said:
            yield {"role": "user", "content": _content(said)}


def _answered(turn: Turn) -> Iterator[Json]:
    """A message of the assistant as the dialect writes answers, without thoughts: they are another vendor's."""
    message = answered(turn.parts)
    kept = {name: message[name] for name in ("content", "refusal", "tool_calls") if message.get(name)}
    if kept:
        yield {"role": "assistant", "content": None} | kept


def _result(result: ToolResult) -> Json:
    said = "".join(part.text for part in result.parts if isinstance(part, Text))
    return {"role": "tool", "tool_call_id": result.call_id, "content": ERROR + said if result.is_error else said}


def _content(parts: Sequence[Part]) -> str | list[Json]:
    if len(parts) == 1 and isinstance(parts[0], Text):
        return parts[0].text
    return [written for written in map(_part, parts) if written]


def _part(part: Part) -> Json | None:
    match part:
        case Text(text=text):
            return {"type": "text", "text": text}
        case Image(detail=detail):
            return {"type": "image_url", "image_url": {"url": url_of(part)} | ({"detail": detail} if detail else {})}
        case Document(data=data, media_type="text/plain"):
            return {"type": "text", "text": data}
        case Document(data=data, media_type=media_type, name=name):
            file = {"file_data": f"data:{media_type};base64,{data}", "filename": name or "document.pdf"}
            return {"type": "file", "file": file}
        case _:
            return None


def _tools(conversation: Conversation) -> Json:
    tools = [_tool(tool) for tool in conversation.tools]
    if not tools:
        return {}
    choice = conversation.tool_choice
    return {
        "tools": tools,
        "tool_choice": _choice(choice) if choice else None,
        "parallel_tool_calls": conversation.parallel_tools,
    }


def _tool(tool: Tool | HostedTool) -> Json:
    if isinstance(tool, HostedTool):
        return tool.definition
    optional = {"description": tool.description or None, "strict": tool.strict}
    given = {name: value for name, value in optional.items() if value is not None}
    parameters = tool.parameters or {"type": "object", "properties": {}}
    return {"type": "function", "function": {"name": tool.name, "parameters": parameters, **given}}


def _choice(choice: ToolChoice) -> str | Json:
    if choice.mode == "named":
        return {"type": "function", "function": {"name": choice.name}}
    if choice.allowed:
        tools = [{"type": "function", "function": {"name": name}} for name in choice.allowed]
        return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": tools}}
    return choice.mode


def _format(asked: JsonFormat) -> Json:
    if asked.schema is None:
        return {"type": "json_object"}
    optional = {"description": asked.description or None, "strict": asked.strict}
    schema = {"name": asked.name or "answer", "schema": asked.schema}
    given = {name: value for name, value in optional.items() if value is not None}
    return {"type": "json_schema", "json_schema": schema | given}
