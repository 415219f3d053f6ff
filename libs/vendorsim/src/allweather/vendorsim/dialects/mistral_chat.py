"""Chat Completions as Mistral serves them: thoughts in the content, calls in one piece, counts at a stream's end."""

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from allweather.vendorsim.answers import Answer, Ask, Finish, variants
from allweather.vendorsim.catalogue import MISTRAL, Model
from allweather.vendorsim.dialects import chat, chat_answer
from allweather.vendorsim.dialects.mistral_rules import check, invalid
from allweather.vendorsim.wire import (
    Frame,
    FrameKind,
    Json,
    Outcome,
    Problem,
    Streamed,
    Ticket,
    Usage,
    Whole,
    encode,
    members,
)

_IMAGE_TOKENS = 1024
_THINKS = 512
"""Tokens that it thinks at effort `high`."""


def answer(payload: Json, ticket: Ticket) -> Outcome:
    """Check and answer a request."""
    if (problem := check(payload)) is not None:
        return problem
    model = MISTRAL[str(payload["model"])]
    thinks = payload.get("reasoning_effort") == "high"
    ask = chat.read_ask(
        _in_openais_words(payload),
        model.id,
        reasoning_tokens=_THINKS if thinks else 0,
        reasons=thinks,
        picture_tokens=lambda _part: _IMAGE_TOKENS,
    )
    answers = [_in_words(each) for each in variants(ask, chat.choices_wanted(payload))]
    if (problem := _too_long(ask, answers, model)) is not None:
        return problem
    spent = chat_answer.usage_of(ask, answers)
    if payload.get("stream"):
        return Streamed(_frames(answers, model, spent, ticket), spent)
    choices = [_choice(each, number, ticket) for number, each in enumerate(answers)]
    return Whole(encode(chat_answer.completion(_head(ticket, model), choices, _usage(spent))), spent)


def _in_openais_words(payload: Json) -> Json:
    choice = "required" if payload.get("tool_choice") == "any" else payload.get("tool_choice")
    return {**payload, "tool_choice": choice, "seed": payload.get("random_seed")}


def _in_words(answer: Answer) -> Answer:
    """It declines in plain text, and has no filter that says so."""
    if answer.finish is Finish.REFUSED:
        return Answer(Finish.STOP, chat_answer.REFUSAL_PIECES)
    return replace(answer, finish=Finish.STOP) if answer.finish is Finish.FILTERED else answer


def _choice(answer: Answer, number: int, ticket: Ticket) -> Json:
    calls = chat_answer.tool_calls(answer, number, _tool_ids(ticket)) or None
    message: Json = {"role": "assistant", "content": _content(answer), "tool_calls": calls, "prefix": False}
    return {"index": number, "message": message, "finish_reason": _finish(answer)}


def _content(answer: Answer) -> str | list[Json]:
    if not answer.thought:
        return answer.text
    said: list[Json] = [{"type": "text", "text": answer.text}] if answer.text else []
    return [_thinking("".join(answer.thought)), *said]


def _thinking(text: str) -> Json:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}], "closed": True}


def _frames(answers: Sequence[Answer], model: Model, spent: Usage, ticket: Ticket) -> Iterator[Frame]:
    head = {**_head(ticket, model), "object": "chat.completion.chunk"}
    made = [_chunks(each, number, head, ticket) for number, each in enumerate(answers)]
    said = list(made[0] if len(made) == 1 else chat_answer.woven(made))
    said[-1][1]["usage"] = _usage(spent)
    for kind, chunk, tokens in said:
        yield Frame(kind, chat_answer.sse(chunk), tokens)
    yield chat_answer.DONE


def _chunks(answer: Answer, number: int, head: Json, ticket: Ticket) -> Iterator[chat_answer.Chunk]:
    yield FrameKind.FRAMING, _chunk(head, number, {"role": "assistant", "content": ""}), 0
    for piece in answer.thought:
        yield FrameKind.CONTENT, _chunk(head, number, {"content": [_thinking(piece)]}), 1
    for piece in answer.pieces:
        content = [{"type": "text", "text": piece}] if answer.thought else piece
        yield FrameKind.CONTENT, _chunk(head, number, {"content": content}), 1
    calls = chat_answer.tool_calls(answer, number, _tool_ids(ticket))
    if calls:
        numbered = [{**call, "index": place} for place, call in enumerate(calls)]
        yield FrameKind.CONTENT, _chunk(head, number, {"content": "", "tool_calls": numbered}), answer.tool_tokens
    yield FrameKind.FINISH, _chunk(head, number, {"content": ""}, _finish(answer)), 0


def _chunk(head: Json, number: int, delta: Json, finish: str | None = None) -> Json:
    return {**head, "choices": [{"index": number, "delta": delta, "finish_reason": finish}]}


def _finish(answer: Answer) -> str:
    return "error" if answer.finish is Finish.FAILED else chat_answer.finish_reason(answer, forced=False)


def _head(ticket: Ticket, model: Model) -> Json:
    return {"id": ticket.hex(32, "id"), "created": int(ticket.wall), "model": model.id}


def _tool_ids(ticket: Ticket) -> chat_answer.ToolIds:
    return lambda number, place: ticket.hex(9, f"tool/{number}/{place}")


def _usage(spent: Usage) -> Json:
    counts = {"prompt_tokens": spent.input_tokens, "completion_tokens": spent.output_tokens}
    return {**counts, "total_tokens": sum(spent)}


def _too_long(ask: Ask, answers: Sequence[Answer], model: Model) -> Problem | None:
    asked = model.window + 1 if answers[0].finish is Finish.WINDOW else ask.input_tokens
    if asked <= model.window:
        return None
    text = f"Prompt contains {asked} tokens, too large for model with {model.window} maximum context length"
    return invalid(text, "3051", "invalid_request_invalid_args")


def wants(payload: Json | None) -> str | None:
    """Return the model that is asked for."""
    model = members(payload).get("model")
    return model if isinstance(model, str) else None
