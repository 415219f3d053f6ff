"""Callers of OpenAI Responses."""

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
    optional = {
        "instructions": "\n\n".join(part.text for part in asking.instructions),
        "max_output_tokens": asking.max_output_tokens,
        "safety_identifier": asking.user,
        "parallel_tool_calls": asking.parallel_tools,
        "reasoning": thinking and given({"effort": thinking.effort, "summary": "auto" if thinking.shown else None}),
        "include": ["reasoning.encrypted_content"] if thinking else None,
        "store": False if thinking else None,
        "tools": [{"type": "function", **function(tool)} for tool in functions(asking)],
        "tool_choice": choice and choice_of(choice.mode, {"type": "function", "name": choice.name}),
        "text": wanted and {"format": _responses_format(asking)},
    }
    return shared(asking) | {"input": list(_items(history))} | given(optional)


def _responses_format(asking: Conversation) -> Json:
    written = chat_format(asking)
    return written if "json_schema" not in written else {"type": "json_schema", **written["json_schema"]}


def _items(history: History) -> Iterator[Json]:
    waiting: list[str] = []
    for entry in history:
        if not isinstance(entry, Step):
            waiting = [item["call_id"] for item in entry["output"] if item["type"] == "function_call"]
            yield from _continued(entry["output"])
            continue
        results = [each for each in entry.told if isinstance(each, ToolResult)]
        for name, result in zip(waiting, results, strict=True):
            yield {"type": "function_call_output", "call_id": name, "output": "".join(words(result))}
        waiting = []
        said = [each for each in entry.told if not isinstance(each, ToolResult)]
        if said:
            yield {"role": "user", "content": one_text(said) or list(map(_input_part, said))}


def _continued(output: list[Json]) -> list[Json]:
    """Without a thought of which nothing came: the vendor does not take it back."""
    return output if any(item["type"] != "reasoning" for item in output) else []


def _input_part(part: Told) -> Json:
    match part:
        case Image():
            return {"type": "input_image", "image_url": url_of(part)}
        case Document(data=data, media_type=media_type, name=name):
            return {"type": "input_file", "filename": name, "file_data": f"data:{media_type};base64,{data}"}
        case Text(text=text):
            return {"type": "input_text", "text": text}
        case ToolResult():
            raise TypeError("a result is an item of its own")
