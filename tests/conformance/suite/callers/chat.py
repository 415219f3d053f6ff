"""Callers of OpenAI Chat Completions."""

from collections.abc import Iterator

from allweather.contracts.conversation import Conversation, Document, Image, Json, Text, ToolResult
from suite.callers.caller import (
    History,
    chat_format,
    choice_of,
    function,
    functions,
    given,
    one_text,
    shared,
    url_of,
    words,
)
from suite.script import Step, Told


def body(asking: Conversation, history: History) -> Json:
    """The body of a request."""
    choice, wanted, thinking = asking.tool_choice, asking.format, asking.thinking
    system = [{"role": "developer", "content": part.text} for part in asking.instructions]
    optional = {
        "max_completion_tokens": asking.max_output_tokens,
        "stop": list(asking.stops),
        "seed": asking.seed,
        "n": asking.choices if asking.choices > 1 else None,
        "safety_identifier": asking.user,
        "parallel_tool_calls": asking.parallel_tools,
        "reasoning_effort": thinking.effort if thinking else None,
        "tools": [{"type": "function", "function": function(tool)} for tool in functions(asking)],
        "tool_choice": choice and choice_of(choice.mode, {"type": "function", "function": {"name": choice.name}}),
        "response_format": wanted and chat_format(asking),
        "stream_options": {"include_usage": True} if asking.stream else None,
    }
    return shared(asking) | {"messages": [*system, *_chat_messages(history)]} | given(optional)


def _chat_messages(history: History) -> Iterator[Json]:
    waiting: list[str] = []
    for entry in history:
        if not isinstance(entry, Step):
            message = entry["choices"][0]["message"]
            waiting = [call["id"] for call in message.get("tool_calls") or ()]
            yield message
            continue
        results = [each for each in entry.told if isinstance(each, ToolResult)]
        for name, result in zip(waiting, results, strict=True):
            yield {"role": "tool", "tool_call_id": name, "content": "".join(words(result))}
        waiting = []
        said = [each for each in entry.told if not isinstance(each, ToolResult)]
        if said:
            yield {"role": "user", "content": one_text(said) or list(map(_chat_part, said))}


def _chat_part(part: Told) -> Json:
    match part:
        case Image():
            return {"type": "image_url", "image_url": {"url": url_of(part)}}
        case Document(data=data, media_type=media_type, name=name):
            return {"type": "file", "file": {"filename": name, "file_data": f"data:{media_type};base64,{data}"}}
        case Text(text=text):
            return {"type": "text", "text": text}
        case ToolResult():
            raise TypeError("a result is a message of its own")
