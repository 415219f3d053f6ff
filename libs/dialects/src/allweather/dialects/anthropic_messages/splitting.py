"""A message as the events that Anthropic would have streamed."""

from collections.abc import Iterator
from typing import Any

import msgspec

from allweather.dialects.lenient import Json, child, children, parse_object

_UNTIL_THE_END = {"stop_reason": None, "stop_sequence": None}


def payloads(message: bytes) -> Iterator[str]:
    """The payloads of the events that are the message."""
    whole = parse_object(message) or {}
    ended = {name: whole.pop(name, None) for name in ("stop_reason", "stop_sequence", "stop_details")}
    begun: Json = whole | _UNTIL_THE_END | {"content": [], "usage": child(whole, "usage") | {"output_tokens": 0}}
    yield _payload("message_start", message=begun)
    for index, block in enumerate(children(whole, "content")):
        yield from _block(index, block)
    if ended["stop_details"] is None:
        del ended["stop_details"]
    yield _payload("message_delta", delta=ended, usage=child(whole, "usage"))
    yield _payload("message_stop")


def _block(index: int, block: Json) -> Iterator[str]:
    empty, deltas = _pieces(block)
    yield _payload("content_block_start", index=index, content_block=empty)
    for delta in deltas:
        yield _payload("content_block_delta", index=index, delta=delta)
    yield _payload("content_block_stop", index=index)


def _pieces(block: Json) -> tuple[Json, list[Json]]:
    """The block as it begins, and what is added to it. Blocks of other types come whole."""
    match block.get("type"):
        case "text":
            return block | {"text": ""}, [{"type": "text_delta", "text": block.get("text", "")}]
        case "thinking":
            thought = {"type": "thinking_delta", "thinking": block.get("thinking", "")}
            signed = {"type": "signature_delta", "signature": block.get("signature", "")}
            return block | {"thinking": "", "signature": ""}, [thought, signed]
        case "tool_use":
            given = msgspec.json.encode(block.get("input", {})).decode()
            return block | {"input": {}}, [{"type": "input_json_delta", "partial_json": given}]
        case _:
            return block, []


def _payload(kind: str, **fields: Any) -> str:
    return msgspec.json.encode({"type": kind, **fields}).decode()
