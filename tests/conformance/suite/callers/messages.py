"""Callers of Anthropic Messages."""

from collections.abc import Iterator, Sequence

from allweather.contracts.conversation import Conversation, Document, Image, Json, Text, Tool, ToolResult
from suite.callers.caller import (
    History,
    Reply,
    functions,
    given,
    one_text,
    shared,
)
from suite.script import Step, Told


def body(asking: Conversation, history: History) -> Json:
    """The body of a request."""
    choice, wanted, thinking = asking.tool_choice, asking.format, asking.thinking
    modes = {"required": "any", "named": "tool"}
    chosen = given({"type": modes.get(choice.mode, choice.mode), "name": choice.name}) if choice else None
    if asking.parallel_tools is False:
        chosen = {"type": "auto"} | (chosen or {}) | {"disable_parallel_tool_use": True}
    optional = {
        "system": [_text_block(part) for part in asking.instructions],
        "stop_sequences": list(asking.stops),
        "top_k": asking.top_k,
        "metadata": {"user_id": asking.user} if asking.user else None,
        "thinking": thinking and {"type": "enabled", "budget_tokens": thinking.budget or 1024},
        "tools": [_messages_tool(tool) for tool in functions(asking)],
        "tool_choice": chosen,
        "output_config": {"format": {"type": "json_schema", "schema": wanted.schema}} if wanted else None,
    }
    limit = asking.max_output_tokens or 4096
    return shared(asking) | {"max_tokens": limit, "messages": list(_turns(history))} | given(optional)


def _messages_tool(tool: Tool) -> Json:
    described = given({"description": tool.description, "strict": tool.strict})
    return {"name": tool.name, "input_schema": tool.parameters or {"type": "object"}, **described}


def _turns(history: History) -> Iterator[Json]:
    waiting: list[str] = []
    for entry in _kept(history):
        if not isinstance(entry, Step):
            waiting = [block["id"] for block in entry["content"] if block["type"] == "tool_use"]
            yield {"role": "assistant", "content": entry["content"]}
            continue
        results = [each for each in entry.told if isinstance(each, ToolResult)]
        blocks = [_result_block(name, result) for name, result in zip(waiting, results, strict=True)]
        waiting = []
        said = [each for each in entry.told if not isinstance(each, ToolResult)]
        yield {"role": "user", "content": [*blocks, *map(_block, said)] if blocks else _plain_or_blocks(said)}


def _kept(history: History) -> Iterator[Step | Reply]:
    """Without what was answered by nothing, as the vendor's documentation asks of refusals."""
    for entry, following in zip(history, [*history[1:], None], strict=True):
        reply = entry if not isinstance(entry, Step) else following
        if reply is None or isinstance(reply, Step) or reply["content"]:
            yield entry


def _plain_or_blocks(said: Sequence[Told]) -> str | list[Json]:
    cached = any(isinstance(part, Text) and part.cache for part in said)
    return ("" if cached else one_text(said)) or list(map(_block, said))


def _result_block(name: str, result: ToolResult) -> Json:
    failed = {"is_error": True} if result.is_error else {}
    return {"type": "tool_result", "tool_use_id": name, "content": list(map(_block, result.parts)), **failed}


def _text_block(part: Text) -> Json:
    cached = {"cache_control": {"type": "ephemeral", "ttl": part.cache}} if part.cache else {}
    return {"type": "text", "text": part.text, **cached}


def _block(part: Told) -> Json:
    match part:
        case Text():
            return _text_block(part)
        case Image(url=url, data=data, media_type=media_type):
            source = {"type": "url", "url": url} if url else {"type": "base64", "media_type": media_type, "data": data}
            return {"type": "image", "source": source}
        case Document(data=data, media_type=media_type, name=name):
            source = {"type": "base64", "media_type": media_type, "data": data}
            return {"type": "document", "source": source, "title": name}
        case ToolResult():
            raise TypeError("results are in no results")
