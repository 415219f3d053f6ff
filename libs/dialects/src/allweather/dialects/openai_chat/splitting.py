"""A chat completion as the chunks that a vendor would have streamed."""

from collections.abc import Iterator

import msgspec

from allweather.dialects.lenient import Json, child, children, parse_object

_SHARED = ("id", "created", "model", "system_fingerprint", "service_tier")


def payloads(completion: bytes, include_usage: bool) -> Iterator[str]:
    """The payloads of the chunks that are the completion, its counts only if they were asked for."""
    whole = parse_object(completion) or {}
    shared: Json = {name: whole[name] for name in _SHARED if name in whole}
    shared |= {"object": "chat.completion.chunk"} | ({"usage": None} if include_usage else {})
    for choice in children(whole, "choices"):
        for delta, logprobs, finish in _deltas(choice):
            index = choice.get("index", 0)
            chunk = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
            yield _text({**shared, "choices": [chunk]})
    if include_usage:
        yield _text({**shared, "choices": [], "usage": whole.get("usage")})


def _deltas(choice: Json) -> Iterator[tuple[Json, Json | None, str | None]]:
    """The deltas of one choice, the last one with its finish reason."""
    message, logprobs = child(choice, "message"), choice.get("logprobs")
    yield {"role": message.get("role", "assistant"), "content": ""}, None, None
    for field in ("reasoning_content", "content", "refusal"):
        if message.get(field):
            yield {field: message[field]}, logprobs if field == "content" else None, None
    for number, call in enumerate(children(message, "tool_calls")):
        yield {"tool_calls": [{"index": number, **call}]}, None, None
    yield {}, None, choice.get("finish_reason")


def _text(payload: Json) -> str:
    return msgspec.json.encode(payload).decode()
