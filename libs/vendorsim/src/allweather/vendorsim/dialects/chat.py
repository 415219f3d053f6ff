"""Chat Completions, as OpenAI, Azure OpenAI and vLLM share it: reading a request and building the answer.

Where the three differ, they change the objects made here; they do not branch in here.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from allweather.vendorsim.answers import Answer, Ask, Finish, Tool, estimate, pick_tool, pieces
from allweather.vendorsim.wire import Frame, FrameKind, Json, Usage, encode, items, members

DONE = Frame(FrameKind.END, b"data: [DONE]\n\n")
REFUSAL = "I'm sorry, but I can't help with that request."
REFUSAL_PIECES = pieces(REFUSAL)
REASONING_TOKENS = {"none": 0, "low": 64, "medium": 192, "high": 512, "xhigh": 1024}
_PER_MESSAGE = 4

Chunk = tuple[FrameKind, Json, int]
"""What a chunk means, the chunk, its tokens."""


def sse(payload: Json) -> bytes:
    return b"data: %b\n\n" % encode(payload)


def read_ask(payload: Json, model: str, *, reasoning_tokens: int = 0) -> Ask:
    """Read a conversation that has passed the vendor's checks."""
    messages = items(payload["messages"])
    turns = [(str(message.get("role")), text_of(message.get("content"))) for message in messages]
    system = "\n".join(text for role, text in turns if role in ("system", "developer"))
    conversation = "\n".join(f"{role}: {text}" for role, text in turns if role not in ("system", "developer"))
    tools = payload.get("tools")
    return Ask(
        model=model,
        system=system,
        conversation=conversation,
        question=next((text for role, text in reversed(turns) if role == "user"), ""),
        input_tokens=_input_tokens(turns, tools),
        max_tokens=payload.get("max_completion_tokens") or payload.get("max_tokens"),
        stop=_stop(payload.get("stop")),
        schema=_schema(payload),
        wants_json=_format(payload) in ("json_object", "json_schema"),
        tool=_tool(payload, turns) if tools else None,
        reasoning_tokens=reasoning_tokens,
    )


def text_of(content: object) -> str:
    """Return the text of a message, whether it is a string or parts."""
    if isinstance(content, str):
        return content
    return "\n".join(str(members(part).get("text", "")) for part in items(content))


def forced_by_name(payload: Json) -> bool:
    return isinstance(payload.get("tool_choice"), dict)


def completion(answer: Answer, head: Json, message: Json, finish_reason: str, usage: Json) -> Json:
    """Return a `chat.completion` object with one choice."""
    content = None if answer.finish in (Finish.TOOL, Finish.REFUSED) else answer.text
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": content, **message},
        "logprobs": None,
        "finish_reason": finish_reason,
    }
    return {**head, "object": "chat.completion", "choices": [choice], "usage": usage}


def chunks(answer: Answer, head: Json, opening: Json, finish_reason: str, tool_id: str) -> Iterator[Chunk]:
    """Yield the `chat.completion.chunk` objects of an answer, from the role to the finish reason."""
    opening = {"role": "assistant", "content": "", **opening}
    if answer.tool is not None:
        function = {"name": answer.tool.name, "arguments": ""}
        call = {"index": 0, "id": tool_id, "type": "function", "function": function}
        opening |= {"content": None, "tool_calls": [call]}
    yield FrameKind.FRAMING, _chunk(head, opening, None), 0
    for delta in _deltas(answer):
        yield FrameKind.CONTENT, _chunk(head, delta, None), 1
    yield FrameKind.FINISH, _chunk(head, {}, finish_reason), 0


def usage_chunk(head: Json, usage: Json) -> Chunk:
    """Return the extra chunk that `stream_options.include_usage` asks for."""
    return FrameKind.CLOSING, {**head, "object": "chat.completion.chunk", "choices": [], "usage": usage}, 0


def includes_usage(payload: Json) -> bool:
    return bool(members(payload.get("stream_options")).get("include_usage"))


def tool_calls(answer: Answer, tool_id: str) -> list[Json]:
    """Return the tool calls of a whole message: the arguments are a JSON string."""
    if answer.tool is None:
        return []
    function = {"name": answer.tool.name, "arguments": encode(answer.tool.arguments).decode()}
    return [{"id": tool_id, "type": "function", "function": function}]


def usage_of(ask: Ask, answer: Answer) -> Usage:
    """Tell what is billed; a refusal costs its sentence."""
    refusal = len(REFUSAL_PIECES) if answer.finish is Finish.REFUSED else 0
    return Usage(ask.input_tokens, answer.tokens + refusal)


def finish_reason(answer: Answer, *, forced: bool) -> str:
    """Return the reason; a tool that was forced by name ends with `stop`, as the vendors do it."""
    if answer.finish is Finish.TOOL:
        return "stop" if forced else "tool_calls"
    return {Finish.LENGTH: "length", Finish.FILTERED: "content_filter"}.get(answer.finish, "stop")


def _chunk(head: Json, delta: Json, finish: str | None) -> Json:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return {**head, "object": "chat.completion.chunk", "choices": [choice]}


def _deltas(answer: Answer) -> Iterator[Json]:
    if answer.tool is not None:
        arguments = encode(answer.tool.arguments).decode()
        for start in range(0, len(arguments), 8):
            function = {"arguments": arguments[start : start + 8]}
            yield {"tool_calls": [{"index": 0, "function": function}]}
    elif answer.finish is Finish.REFUSED:
        for word in REFUSAL_PIECES:
            yield {"refusal": word}
    else:
        for piece in answer.pieces:
            yield {"content": piece}


def _input_tokens(turns: Sequence[tuple[str, str]], tools: object) -> int:
    schemas = estimate(encode(tools).decode()) if tools else 0
    return sum(estimate(text) + _PER_MESSAGE for _, text in turns) + schemas + 3


def _stop(stop: object) -> list[str]:
    return [stop] if isinstance(stop, str) else [str(each) for each in items(stop)]


def _format(payload: Json) -> object:
    return members(payload.get("response_format")).get("type")


def _schema(payload: Json) -> Json | None:
    named = members(members(payload.get("response_format")).get("json_schema"))
    return members(named.get("schema")) or None


def _tool(payload: Json, turns: Sequence[tuple[str, str]]) -> Tool | None:
    choice: Any = payload.get("tool_choice")
    if choice == "none":
        return None
    functions = [members(members(tool).get("function")) for tool in items(payload["tools"])]
    tools = [Tool(str(each.get("name")), members(each.get("parameters"))) for each in functions]
    named = members(members(choice).get("function")).get("name")
    turn = turns[-1][1] if turns and turns[-1][0] == "user" else ""
    return pick_tool(tools, named=named, required=choice == "required", turn=turn)
