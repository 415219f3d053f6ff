"""A conversation as the body of Anthropic Messages."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import Final

from allweather.contracts.conversation import (
    REDACTED,
    Conversation,
    Document,
    HostedTool,
    Image,
    Json,
    Opaque,
    Origin,
    Part,
    Reasoning,
    Refusal,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from allweather.contracts.slip import Dialect
from allweather.dialects.lenient import parse_object
from allweather.dialects.media import PLAIN
from allweather.provider_worker.effort import budget, effort

ORIGIN: Final = Origin(Dialect.ANTHROPIC_MESSAGES)
EFFORTS: Final = ("low", "medium", "high", "max")
BUDGETED: Final = ("claude-haiku-4-5", "claude-3", "claude-sonnet-4-5", "claude-opus-4-5", "claude-opus-4-1")
"""Models that think within a budget; later ones adapt, and are told an effort."""
LEAST_BUDGET: Final = 1024
"""And at most three quarters of the limit: what is left has to hold the answer."""
ID: Final = re.compile(r"[a-zA-Z0-9_-]+")


def body(conversation: Conversation, model: str, limit: int) -> Json:
    """The body, without `stream`. `limit` is the most tokens of an answer, which this vendor wants to be told."""
    choice = _choice(conversation)
    optional: Json = {
        "system": _system(conversation.instructions),
        "temperature": conversation.temperature,
        "top_p": conversation.top_p,
        "top_k": conversation.top_k,
        "stop_sequences": list(conversation.stops),
        "tools": [_tool(tool) for tool in _offered(conversation)],
        "tool_choice": choice,
        "metadata": _metadata(conversation.user),
    }
    return {
        "model": model,
        "max_tokens": limit,
        "messages": [message for message in map(_message, conversation.turns) if message["content"]],
        **{name: value for name, value in optional.items() if value not in (None, "", [])},
        **_thinking(conversation, model, limit),
    }


def thinks_in_budget(model: str) -> bool:
    """Whether the model is told how many tokens to think rather than how hard."""
    return model.startswith(BUDGETED)


def thinks(conversation: Conversation) -> bool:
    """Whether the model is asked to think."""
    return conversation.thinking is not None and conversation.thinking.effort != "none"


def _thinking(conversation: Conversation, model: str, limit: int) -> Json:
    """Thinking, and the shape of the answer, which share a field."""
    config: Json = {}
    asked = conversation.format
    if asked and asked.schema is not None:
        config["format"] = {"type": "json_schema", "schema": asked.schema}
    written: Json = {}
    thinking = conversation.thinking
    if thinking is not None and thinks(conversation) and not thinks_in_budget(model):
        written["thinking"] = {"type": "adaptive"} | ({"display": "omitted"} if thinking.shown is False else {})
        config["effort"] = effort(thinking, EFFORTS)
    elif thinking is not None and thinks(conversation) and not _loop_without_thoughts(conversation.turns):
        tokens = max(LEAST_BUDGET, min(budget(thinking), limit * 3 // 4))
        written["thinking"] = {"type": "enabled", "budget_tokens": tokens}
    return written | ({"output_config": config} if config else {})


def _loop_without_thoughts(turns: Sequence[Turn]) -> bool:
    """Whether a tool loop is open that another vendor began: its thoughts would be missed, so nothing is thought."""
    if len(turns) < 2 or not any(isinstance(part, ToolResult) for part in turns[-1].parts):
        return False
    return not any(isinstance(part, Reasoning) and _is_own(part) for part in turns[-2].parts)


def _is_own(thought: Reasoning) -> bool:
    return bool(thought.token and thought.origin and thought.origin.fits(ORIGIN))


def _system(instructions: Sequence[Text]) -> str | list[Json]:
    if any(part.cache for part in instructions):
        return [block for block in map(_block, instructions) if block]
    return "\n\n".join(part.text for part in instructions)


def _metadata(user: str) -> Json | None:
    """The user as an opaque id: callers put addresses there, and the vendor asks for no personal data."""
    return {"user_id": hashlib.sha256(user.encode()).hexdigest()} if user else None


def _offered(conversation: Conversation) -> Iterator[Tool | HostedTool]:
    """The tools that may be called; a choice among them is made by offering no others."""
    allowed = conversation.tool_choice.allowed if conversation.tool_choice else ()
    for tool in conversation.tools:
        if not allowed or (isinstance(tool, Tool) and tool.name in allowed):
            yield tool


def _tool(tool: Tool | HostedTool) -> Json:
    if isinstance(tool, HostedTool):
        return tool.definition
    optional = {"description": tool.description or None, "strict": tool.strict}
    given = {name: value for name, value in optional.items() if value is not None}
    schema = tool.parameters or {"type": "object", "properties": {}}
    return {"name": tool.name, "input_schema": schema, **given} | _cached(tool.cache)


def _choice(conversation: Conversation) -> Json | None:
    choice, serial = conversation.tool_choice, conversation.parallel_tools is False
    if not conversation.tools or (choice is None and not serial):
        return None
    mode = choice.mode if choice else "auto"
    written: Json = {"type": {"required": "any", "named": "tool"}.get(mode, mode)}
    if choice and mode == "named":
        written["name"] = choice.name
    return written | ({"disable_parallel_tool_use": True} if serial and mode != "none" else {})


def _message(turn: Turn) -> Json:
    """Results of tools first: they belong straight after their calls."""
    parts = sorted(turn.parts, key=lambda part: not isinstance(part, ToolResult))
    if len(parts) == 1 and isinstance(parts[0], Text) and not parts[0].cache:
        return {"role": turn.role, "content": parts[0].text}
    return {"role": turn.role, "content": [block for block in map(_block, parts) if block]}


def _block(part: Part) -> Json | None:
    match part:
        case Text(text=text, cache=cache):
            return {"type": "text", "text": text} | _cached(cache)
        case Refusal(text=text):
            return {"type": "text", "text": text}
        case ToolCall():
            called = {
                "type": "tool_use",
                "id": _id(part.id),
                "name": part.name,
                "input": parse_object(part.arguments) or {},
            }
            return called | _cached(part.cache)
        case ToolResult():
            return _result(part)
        case Image() | Document():
            return _medium(part)
        case Reasoning():
            return _thought(part) if _is_own(part) else None
        case Opaque(origin=origin, item=item):
            return item if origin.fits(ORIGIN) else None


def _result(result: ToolResult) -> Json:
    shown = [block for block in map(_block, result.parts) if block]
    texts = [part.text for part in result.parts if isinstance(part, Text)]
    content = texts[0] if len(texts) == len(shown) == 1 else shown
    failed = {"is_error": True} if result.is_error else {}
    return {"type": "tool_result", "tool_use_id": _id(result.call_id), "content": content, **failed} | _cached(
        result.cache
    )


def _medium(part: Image | Document) -> Json:
    named = {"title": part.name} if isinstance(part, Document) and part.name else {}
    kind = "image" if isinstance(part, Image) else "document"
    if part.url:
        source = {"type": "url", "url": part.url}
    else:
        how = "text" if part.media_type == PLAIN else "base64"
        source = {"type": how, "media_type": part.media_type, "data": part.data}
    return {"type": kind, "source": source, **named} | _cached(part.cache)


def _thought(thought: Reasoning) -> Json:
    if thought.id == REDACTED:
        return {"type": "redacted_thinking", "data": thought.token}
    return {"type": "thinking", "thinking": thought.text, "signature": thought.token}


def _id(call: str) -> str:
    """The id of a call as this vendor allows it: others have theirs."""
    return call if ID.fullmatch(call) else f"toolu_{hashlib.sha256(call.encode()).hexdigest()[:24]}"


def _cached(ttl: str | None) -> Json:
    if not ttl:
        return {}
    return {"cache_control": {"type": "ephemeral"} | ({} if ttl == "5m" else {"ttl": ttl})}
