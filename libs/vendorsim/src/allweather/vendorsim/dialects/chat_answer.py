"""Chat Completions: writing the answer, whole and in chunks.

Where OpenAI, Azure OpenAI and vLLM differ, they change the objects made here; they do not branch in here.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from allweather.vendorsim.answers import Answer, Ask, Finish, pieces
from allweather.vendorsim.dialects.odds import odds
from allweather.vendorsim.wire import Frame, FrameKind, Json, Usage, encode

DONE = Frame(FrameKind.END, b"data: [DONE]\n\n")
REFUSAL = "I'm sorry, but I can't help with that request."
REFUSAL_PIECES = pieces(REFUSAL)
_CHARACTERS_A_DELTA = 8

Chunk = tuple[FrameKind, Json, int]
"""What a chunk means, the chunk, its tokens."""
ToolIds = Callable[[int, int], str]
"""From the number of a choice and of a call in it to the id of the call."""


def sse(payload: Json) -> bytes:
    return b"data: %b\n\n" % encode(payload)


def completion(head: Json, choices: list[Json], usage: Json) -> Json:
    """Return a `chat.completion` object."""
    return {**head, "object": "chat.completion", "choices": choices, "usage": usage}


def choice(answer: Answer, number: int, message: Json, finish_reason: str, logprobs: Json | None) -> Json:
    """Return one choice; `message` are its members besides role and content."""
    silent = answer.finish is Finish.REFUSED or (answer.calls and not answer.pieces)
    return {
        "index": number,
        "message": {"role": "assistant", "content": None if silent else answer.text, **message},
        "logprobs": logprobs,
        "finish_reason": finish_reason,
    }


def tool_calls(answer: Answer, number: int, ids: ToolIds) -> list[Json]:
    """Return the tool calls of a whole message: the arguments are a JSON string."""
    return [
        {
            "id": ids(number, place),
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for place, call in enumerate(answer.calls)
    ]


def logprobs_of(answer: Answer, top: int) -> Json:
    return {"content": [odds(piece, top) for piece in answer.pieces], "refusal": None}


class Manner(NamedTuple):
    """How one server says things."""

    ids: ToolIds
    opening: Json | None = None
    """Members of the first delta besides role and content."""
    closing: Json | None = None
    """Members of the last choice besides the finish reason."""
    top: int | None = None
    """How many alternatives of each token are told; None tells no probabilities."""
    thinks_aloud: bool = False


def chunks(answer: Answer, number: int, head: Json, finish_reason: str, manner: Manner) -> Iterator[Chunk]:
    """Yield the `chat.completion.chunk` objects of one choice, from the role to the finish reason."""
    aloud = manner.thinks_aloud and answer.reasoning_tokens > 0
    alone = len(answer.calls) == 1 and not answer.pieces and not aloud
    begun = [_begun(answer, number, 0, manner.ids)] if alone else None
    yield FrameKind.FRAMING, chunk(head, number, {**_opening(answer, begun), **(manner.opening or {})}, None), 0
    if answer.finish is Finish.REFUSED:
        for word in REFUSAL_PIECES:
            yield FrameKind.CONTENT, chunk(head, number, {"refusal": word}, None), 1
    if aloud:
        for piece in answer.thought:
            yield FrameKind.CONTENT, chunk(head, number, {"reasoning": piece}, None), 1
    for piece in answer.pieces:
        made = chunk(head, number, {"content": piece}, None)
        if manner.top is not None:
            made["choices"][0]["logprobs"] = {"content": [odds(piece, manner.top)], "refusal": None}
        yield FrameKind.CONTENT, made, 1
    if answer.calls:
        for kind, delta in _calling(answer, number, manner.ids, begun=alone):
            yield kind, chunk(head, number, delta, None), 2 * (kind is FrameKind.CONTENT)
    made = chunk(head, number, {}, finish_reason)
    if manner.closing is not None:
        made["choices"][0] |= manner.closing
    yield FrameKind.FINISH, made, 0


def woven(choices: Sequence[Iterable[Chunk]]) -> Iterator[Chunk]:
    """Yield the chunks of several choices as they come on the wire: a chunk of each in turn."""
    left = [iter(each) for each in choices]
    while left:
        for each in list(left):
            if (made := next(each, None)) is None:
                left.remove(each)
            else:
                yield made


def usage_chunk(head: Json, usage: Json) -> Chunk:
    """Return the extra chunk that `stream_options.include_usage` asks for."""
    return FrameKind.CLOSING, {**head, "object": "chat.completion.chunk", "choices": [], "usage": usage}, 0


def chunk(head: Json, number: int, delta: Json, finish: str | None) -> Json:
    made = {"index": number, "delta": delta, "logprobs": None, "finish_reason": finish}
    return {**head, "object": "chat.completion.chunk", "choices": [made]}


def usage_of(ask: Ask, answers: Sequence[Answer]) -> Usage:
    """Tell what is billed: the prompt once, every choice; a refusal costs its sentence."""
    refusals = sum(answer.finish is Finish.REFUSED for answer in answers)
    return Usage(ask.input_tokens, sum(answer.tokens for answer in answers) + refusals * len(REFUSAL_PIECES))


def finish_reason(answer: Answer, *, forced: bool) -> str:
    """Return the reason; a tool that was forced by name ends with `stop`, as the vendors do it."""
    if answer.finish is Finish.TOOL:
        return "stop" if forced else "tool_calls"
    return {Finish.LENGTH: "length", Finish.FILTERED: "content_filter"}.get(answer.finish, "stop")


def _opening(answer: Answer, begun: list[Json] | None) -> Json:
    """Return the first delta. A lone call comes with it; where there is more to come it is only the role."""
    said = "" if answer.pieces or not answer.calls else None
    return {"role": "assistant", "content": said} | ({"tool_calls": begun} if begun else {})


def _begun(answer: Answer, number: int, place: int, ids: ToolIds) -> Json:
    function = {"name": answer.calls[place].name, "arguments": ""}
    return {"index": place, "id": ids(number, place), "type": "function", "function": function}


def _calling(answer: Answer, number: int, ids: ToolIds, *, begun: bool) -> Iterator[tuple[FrameKind, Json]]:
    """Yield the deltas of the calls: each begins with its name, then come its arguments in pieces."""
    for place, call in enumerate(answer.calls):
        if not begun:
            yield FrameKind.FRAMING, {"tool_calls": [_begun(answer, number, place, ids)]}
        for start in range(0, len(call.arguments), _CHARACTERS_A_DELTA):
            function = {"arguments": call.arguments[start : start + _CHARACTERS_A_DELTA]}
            yield FrameKind.CONTENT, {"tool_calls": [{"index": place, "function": function}]}
