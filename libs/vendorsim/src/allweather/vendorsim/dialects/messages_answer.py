"""The answer of the Messages API, whole and as a stream of events."""

import json
from collections.abc import Iterator

from allweather.vendorsim.answers import Answer, Finish
from allweather.vendorsim.catalogue import Model
from allweather.vendorsim.dialects.messages_cache import CacheUse
from allweather.vendorsim.dialects.messages_history import OWNER
from allweather.vendorsim.sealing import seal
from allweather.vendorsim.wire import Frame, FrameKind, Json, Ticket, encode, members

_STOP_REASONS = {
    Finish.STOP: "end_turn",
    Finish.STOP_SEQUENCE: "stop_sequence",
    Finish.LENGTH: "max_tokens",
    Finish.TOOL: "tool_use",
    Finish.REFUSED: "refusal",
    Finish.FILTERED: "refusal",
    Finish.WINDOW: "model_context_window_exceeded",
    Finish.PAUSED: "pause_turn",
}
_TOKENS_A_DELTA = 4
_TOKENS_A_THOUGHT = 8
_CHARACTERS_A_DELTA = 12


def message(payload: Json, answer: Answer, model: Model, used: CacheUse, ticket: Ticket) -> Json:
    """Return a whole message."""
    return {
        "model": model.id,
        "id": f"msg_01{ticket.token(22, 'id')}",
        "type": "message",
        "role": "assistant",
        "content": _blocks(payload, answer, ticket),
        **_ending(answer),
        "usage": {
            **_usage(used, answer),
            "service_tier": "standard",
            "inference_geo": payload.get("inference_geo", "global") if model.efforts else "not_available",
        },
    }


def frames(payload: Json, answer: Answer, model: Model, used: CacheUse, ticket: Ticket) -> Iterator[Frame]:
    """Yield the events of a message."""
    whole = message(payload, answer, model, used, ticket)
    blocks: list[Json] = whole["content"]
    ending = {name: whole[name] for name in ("stop_reason", "stop_sequence", "stop_details")}
    usage = {name: value for name, value in whole["usage"].items() if name != "output_tokens_details"}
    begun: Json = {**whole, "content": [], **dict.fromkeys(ending), "usage": {**usage, "output_tokens": 1}}
    yield event(FrameKind.FRAMING, {"type": "message_start", "message": begun})
    calls = iter(answer.calls)
    for index, block in enumerate(blocks):
        start = {"type": "content_block_start", "index": index, "content_block": _started(block)}
        yield event(FrameKind.FRAMING, start)
        if index == 0:
            yield event(FrameKind.FRAMING, {"type": "ping"})
        arguments = next(calls).arguments if block["type"] == "tool_use" else ""
        for delta, tokens in _deltas(block, answer, arguments):
            change = {"type": "content_block_delta", "index": index, "delta": delta}
            yield event(FrameKind.CONTENT, change, tokens)
        yield event(FrameKind.FRAMING, {"type": "content_block_stop", "index": index})
    yield event(FrameKind.FINISH, {"type": "message_delta", "delta": ending, "usage": _usage(used, answer)})
    yield event(FrameKind.END, {"type": "message_stop"})


def event(kind: FrameKind, payload: Json, tokens: int = 0) -> Frame:
    body = encode(payload)
    padding = b" " * (len(body) % 16)  # Anthropic pads the JSON, so that the length of a token cannot be read off
    return Frame(kind, b"event: %b\ndata: %b%b\n\n" % (payload["type"].encode(), body, padding), tokens)


def _blocks(payload: Json, answer: Answer, ticket: Ticket) -> list[Json]:
    """Return the content blocks; a refusal of the prompt has none."""
    blocks: list[Json] = []
    if answer.reasoning_tokens and answer.finish is not Finish.REFUSED:
        blocks += _thoughts(payload, answer, ticket)
    if answer.pieces:
        blocks.append({"type": "text", "text": answer.text})
    for place, call in enumerate(answer.calls):
        known = _whole_members(call.arguments) if call.cut else json.loads(call.arguments)
        blocks.append(
            {"type": "tool_use", "id": f"toolu_{ticket.token(24, f'tool/{place}')}", "name": call.name, "input": known}
        )
    return blocks


def _thoughts(payload: Json, answer: Answer, ticket: Ticket) -> Iterator[Json]:
    """Yield the thinking, signed; part of it may be for the vendor's eyes only."""
    shown = members(payload.get("thinking")).get("display") != "omitted"
    text = "".join(answer.thought) if shown else ""
    yield {"type": "thinking", "thinking": text, "signature": seal(OWNER, ticket.token(16, "signature"), text)}
    if "redacted" in answer.marks:
        yield {"type": "redacted_thinking", "data": seal(OWNER, ticket.token(16, "redacted"), "redacted")}


def _whole_members(arguments: str) -> Json:
    """Return what of a cut input has arrived whole."""
    for end in range(len(arguments), 0, -1):
        if arguments[end - 1] in ',"}]':
            try:
                return json.loads(arguments[:end].rstrip(",") + "}")
            except ValueError:
                continue  # the end of something inside
    return {}


def _ending(answer: Answer) -> Json:
    details = None
    if answer.finish in (Finish.REFUSED, Finish.FILTERED):
        text = "This request was declined by the safety classifier."
        details = {"type": "refusal", "category": "general_harms", "explanation": text}
    reason = _STOP_REASONS[answer.finish]
    return {"stop_reason": reason, "stop_sequence": answer.stop_sequence, "stop_details": details}


def _usage(used: CacheUse, answer: Answer) -> Json:
    usage: Json = {
        "input_tokens": used.uncached,
        "cache_creation_input_tokens": used.written_5m + used.written_1h,
        "cache_read_input_tokens": used.read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": used.written_5m,
            "ephemeral_1h_input_tokens": used.written_1h,
        },
        "output_tokens": answer.tokens,
    }
    if answer.reasoning_tokens:
        usage["output_tokens_details"] = {"thinking_tokens": answer.reasoning_tokens}
    return usage


def _started(block: Json) -> Json:
    empty: dict[str, Json] = {
        "text": {"text": ""},
        "thinking": {"thinking": "", "signature": ""},
        "tool_use": {"input": {}},
    }
    return {**block, **empty.get(block["type"], {})}


def _deltas(block: Json, answer: Answer, arguments: str) -> Iterator[tuple[Json, int]]:
    match block["type"]:
        case "thinking":
            thought = answer.thought if block["thinking"] else ()
            for start in range(0, len(thought), _TOKENS_A_THOUGHT):
                part = thought[start : start + _TOKENS_A_THOUGHT]
                yield {"type": "thinking_delta", "thinking": "".join(part)}, len(part)
            yield {"type": "signature_delta", "signature": block["signature"]}, 0
        case "text":
            for start in range(0, len(answer.pieces), _TOKENS_A_DELTA):
                part = answer.pieces[start : start + _TOKENS_A_DELTA]
                yield {"type": "text_delta", "text": "".join(part)}, len(part)
        case "tool_use":
            text = "" if arguments == "{}" else arguments
            for start in range(-_CHARACTERS_A_DELTA, len(text), _CHARACTERS_A_DELTA):  # the first piece is empty
                piece = text[max(start, 0) : max(start + _CHARACTERS_A_DELTA, 0)]
                yield {"type": "input_json_delta", "partial_json": piece}, 3
        case _:
            return
