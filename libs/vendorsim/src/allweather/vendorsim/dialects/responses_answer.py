"""The Response object, and the events in which it comes into being."""

from collections.abc import Iterator

from allweather.vendorsim.answers import Answer, Ask, Finish
from allweather.vendorsim.catalogue import Model
from allweather.vendorsim.dialects.chat_answer import REFUSAL, REFUSAL_PIECES
from allweather.vendorsim.dialects.odds import odds
from allweather.vendorsim.dialects.responses_history import sealed
from allweather.vendorsim.dialects.responses_rules import effort_of
from allweather.vendorsim.sealing import seal
from allweather.vendorsim.wire import Frame, FrameKind, Json, Problem, Ticket, encode, items, members

_CHARACTERS_A_DELTA = 8
_STATUSES = {
    Finish.LENGTH: ("incomplete", {"reason": "max_output_tokens"}),
    Finish.FILTERED: ("incomplete", {"reason": "content_filter"}),
    Finish.FAILED: ("failed", None),
}
_FAILURE = {"code": "server_error", "message": "The model produced invalid content."}

Event = tuple[FrameKind, Json, int]


def skeleton(payload: Json, model: Model, ticket: Ticket, status: str) -> Json:
    """Return the object before anything has come of it."""
    reasoning = members(payload.get("reasoning"))
    text = members(payload.get("text"))
    return {
        "id": f"resp_{ticket.hex(50, 'id')}",
        "object": "response",
        "created_at": int(ticket.wall),
        "status": status,
        "background": bool(payload.get("background")),
        "error": None,
        "incomplete_details": None,
        "instructions": payload.get("instructions"),
        "max_output_tokens": payload.get("max_output_tokens"),
        "max_tool_calls": payload.get("max_tool_calls"),
        "model": model.id,
        "output": [],
        "parallel_tool_calls": payload.get("parallel_tool_calls") is not False,
        "previous_response_id": payload.get("previous_response_id"),
        "prompt_cache_key": payload.get("prompt_cache_key"),
        "reasoning": {
            "effort": effort_of(payload, model) if model.efforts else None,
            "summary": reasoning.get("summary"),
        },
        "safety_identifier": payload.get("safety_identifier"),
        "service_tier": "default",
        "store": payload.get("store") is not False,
        "temperature": payload.get("temperature", 1.0),
        "text": {"format": text.get("format") or {"type": "text"}, "verbosity": text.get("verbosity") or "medium"},
        "tool_choice": payload.get("tool_choice", "auto"),
        "tools": [{"strict": True, **members(tool)} for tool in items(payload.get("tools"))],
        "top_logprobs": payload.get("top_logprobs", 0),
        "top_p": payload.get("top_p", 1.0),
        "truncation": payload.get("truncation", "disabled"),
        "usage": None,
        "user": payload.get("user"),
        "metadata": payload.get("metadata") or {},
    }


def finished(payload: Json, ask: Ask, answer: Answer, model: Model, cached: int, owner: str, ticket: Ticket) -> Json:
    """Return the object with everything in it."""
    status, details = _STATUSES.get(answer.finish, ("completed", None))
    refusal = len(REFUSAL_PIECES) if answer.finish is Finish.REFUSED else 0
    return {
        **skeleton(payload, model, ticket, status),
        "error": _FAILURE if status == "failed" else None,
        "incomplete_details": details,
        "output": list(_output(payload, answer, owner, ticket)),
        "usage": {
            "input_tokens": ask.input_tokens,
            "input_tokens_details": {"cached_tokens": cached},
            "output_tokens": answer.tokens + refusal,
            "output_tokens_details": {"reasoning_tokens": answer.reasoning_tokens},
            "total_tokens": ask.input_tokens + answer.tokens + refusal,
        },
    }


def events(whole: Json, answer: Answer, ticket: Ticket) -> Iterator[Frame]:
    """Yield the events of a response, numbered, from its creation to its end."""
    for number, (kind, payload, tokens) in enumerate(_events(whole, answer, ticket)):
        yield frame(kind, {**payload, "sequence_number": number}, tokens)


def frame(kind: FrameKind, payload: Json, tokens: int = 0) -> Frame:
    return Frame(kind, b"event: %b\ndata: %b\n\n" % (payload["type"].encode(), encode(payload)), tokens)


def interruption(problem: Problem, begun: Json, sent: int, *, nested: bool) -> list[Frame]:
    """Say that it went wrong in mid-stream. The code stands in the event itself or, as also recorded, under `error`."""
    told: Json = {"code": problem.code or problem.type, "message": problem.message, "param": problem.param}
    error: Json = {"type": "error", "error": {"type": problem.type, **told}} if nested else {"type": "error", **told}
    failed = {**begun, "status": "failed", "error": {"code": told["code"], "message": problem.message}}
    return [
        frame(FrameKind.END, {**error, "sequence_number": sent}),
        frame(FrameKind.END, {"type": "response.failed", "response": failed, "sequence_number": sent + 1}),
    ]


def _output(payload: Json, answer: Answer, owner: str, ticket: Ticket) -> Iterator[Json]:
    ended = "incomplete" if answer.finish in (Finish.LENGTH, Finish.FILTERED) else "completed"
    if answer.reasoning_tokens:
        yield _reasoning(payload, answer, owner, ticket)
    if answer.finish is Finish.REFUSED:
        yield _message([{"type": "refusal", "refusal": REFUSAL}], "completed", ticket)
    if answer.pieces:
        asked = "message.output_text.logprobs" in items(payload.get("include"))
        told = [odds(piece, payload.get("top_logprobs") or 0) for piece in answer.pieces] if asked else []
        text = {"type": "output_text", "annotations": [], "logprobs": told, "text": answer.text}
        yield _message([text], "completed" if answer.calls else ended, ticket)
    for place, call in enumerate(answer.calls):
        yield {
            "id": f"fc_{ticket.hex(50, f'call/{place}')}",
            "type": "function_call",
            "status": "incomplete" if call.cut else "completed",
            "arguments": call.arguments,
            "call_id": f"call_{ticket.token(24, f'tool/0/{place}')}",
            "name": call.name,
        }


def _reasoning(payload: Json, answer: Answer, owner: str, ticket: Ticket) -> Json:
    name = f"rs_{ticket.hex(50, 'reasoning')}"
    asked = members(payload.get("reasoning")).get("summary")
    summary = [{"type": "summary_text", "text": "".join(answer.thought)}] if asked else []
    item: Json = {"id": name, "type": "reasoning", "summary": summary}
    if "reasoning.encrypted_content" in items(payload.get("include")):
        item["encrypted_content"] = sealed(seal(owner, ticket.token(16, "reasoning")))
    return item


def _message(content: list[Json], status: str, ticket: Ticket) -> Json:
    name = f"msg_{ticket.hex(50, 'message')}"
    return {"id": name, "type": "message", "status": status, "content": content, "role": "assistant"}


def _events(whole: Json, answer: Answer, ticket: Ticket) -> Iterator[Event]:
    first = "queued" if whole["background"] else "in_progress"
    begun: Json = {**whole, "status": first, "output": [], "usage": None, "error": None, "incomplete_details": None}
    yield FrameKind.FRAMING, {"type": "response.created", "response": begun}, 0
    if whole["background"]:
        yield FrameKind.FRAMING, {"type": "response.queued", "response": begun}, 0
    yield FrameKind.FRAMING, {"type": "response.in_progress", "response": {**begun, "status": "in_progress"}}, 0
    for index, item in enumerate(whole["output"]):
        place: Json = {"item_id": item["id"], "output_index": index}
        yield FrameKind.FRAMING, {"type": "response.output_item.added", "output_index": index, "item": _begun(item)}, 0
        match item["type"]:
            case "reasoning":
                yield from _summary_events(item, place, answer)
            case "function_call":
                yield from _call_events(item, place)
            case _:
                yield from _message_events(item["content"][0], place, answer, ticket)
        yield FrameKind.FRAMING, {"type": "response.output_item.done", "output_index": index, "item": item}, 0
    yield FrameKind.FINISH, {"type": f"response.{whole['status']}", "response": whole}, 0


def _begun(item: Json) -> Json:
    """Return an item as it is when it is begun."""
    empty: dict[str, Json] = {
        "message": {"status": "in_progress", "content": []},
        "function_call": {"status": "in_progress", "arguments": ""},
        "reasoning": {"summary": []},
    }
    return {**item, **empty[item["type"]]}


def _summary_events(item: Json, place: Json, answer: Answer) -> Iterator[Event]:
    if not item["summary"]:
        return
    where: Json = {**place, "summary_index": 0}
    text = item["summary"][0]["text"]
    part = {"type": "summary_text", "text": ""}
    yield FrameKind.FRAMING, {"type": "response.reasoning_summary_part.added", **where, "part": part}, 0
    for piece in answer.thought:
        yield FrameKind.CONTENT, {"type": "response.reasoning_summary_text.delta", **where, "delta": piece}, 1
    yield FrameKind.FRAMING, {"type": "response.reasoning_summary_text.done", **where, "text": text}, 0
    yield FrameKind.FRAMING, {"type": "response.reasoning_summary_part.done", **where, "part": item["summary"][0]}, 0


def _call_events(item: Json, place: Json) -> Iterator[Event]:
    arguments: str = item["arguments"]
    for start in range(0, len(arguments), _CHARACTERS_A_DELTA):
        delta = arguments[start : start + _CHARACTERS_A_DELTA]
        yield FrameKind.CONTENT, {"type": "response.function_call_arguments.delta", **place, "delta": delta}, 2
    done = {"type": "response.function_call_arguments.done", **place, "arguments": arguments, "name": item["name"]}
    yield FrameKind.FRAMING, done, 0


def _message_events(part: Json, place: Json, answer: Answer, ticket: Ticket) -> Iterator[Event]:
    where: Json = {**place, "content_index": 0}
    refused = part["type"] == "refusal"
    name, member = ("refusal", "refusal") if refused else ("output_text", "text")
    empty: Json = {**part, member: "", **({} if refused else {"logprobs": []})}
    yield FrameKind.FRAMING, {"type": "response.content_part.added", **where, "part": empty}, 0
    for number, piece in enumerate(REFUSAL_PIECES if refused else answer.pieces):
        told = {} if refused else {"logprobs": part["logprobs"][number : number + 1]}
        padding = ticket.token(4 + number * 7 % 12, "obfuscation")
        delta = {"type": f"response.{name}.delta", **where, "delta": piece, **told, "obfuscation": padding}
        yield FrameKind.CONTENT, delta, 1
    done = {"type": f"response.{name}.done", **where, member: part[member]}
    yield FrameKind.FRAMING, done if refused else {**done, "logprobs": part["logprobs"]}, 0
    yield FrameKind.FRAMING, {"type": "response.content_part.done", **where, "part": part}, 0
