"""Server-sent events of Chat Completions: framing, the end marker, errors, a full answer as chunks. Pure."""

from collections.abc import Iterable, Iterator
from typing import Any, Final, cast

import msgspec

from allweather.contracts.errors import ApiError

DONE: Final = b"data: [DONE]\n\n"
KEEP_ALIVE: Final = b": keep-alive\n\n"
CONTENT_TYPE: Final = "text/event-stream; charset=utf-8"


def frame(payloads: Iterable[str]) -> bytes:
    """The payloads as events."""
    return "".join([f"data: {payload}\n\n" for payload in payloads]).encode()


def error_event(error: ApiError, request_id: str) -> bytes:
    """A typed error that the official SDKs raise, with the id under which the outcome can be had."""
    told = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
    payload = msgspec.json.encode({"error": told | {"request_id": request_id}})
    return b"data: " + payload + b"\n\n"


def error_in(body: bytes) -> ApiError:
    """The error of a reply's body, for a stream whose status has gone out already."""
    try:
        found: dict[str, Any] = msgspec.json.decode(body)["error"]
        message, kind = str(found["message"]), str(found["type"])
        return ApiError(0, kind, found.get("code"), message, found.get("param"))
    except (msgspec.MsgspecError, UnicodeDecodeError, LookupError, TypeError, AttributeError):
        return ApiError(0, "server_error", None, "The request ended without an answer.")


def chunks(completion: bytes, *, include_usage: bool) -> Iterator[str]:
    """A full chat completion as the payloads of the chunks that a vendor would have streamed."""
    whole: dict[str, Any] = msgspec.json.decode(completion)
    shared: dict[str, Any] = {
        **{name: whole[name] for name in ("id", "created", "model", "system_fingerprint") if name in whole},
        "object": "chat.completion.chunk",
    }
    if include_usage:
        shared["usage"] = None
    for choice in cast("list[dict[str, Any]]", whole.get("choices") or []):
        for delta, finish_reason in _deltas(choice):
            index = choice.get("index", 0)
            chunk = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
            yield _text({**shared, "choices": [chunk]})
    if include_usage:
        yield _text({**shared, "choices": [], "usage": whole.get("usage")})


def _deltas(choice: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str | None]]:
    """The deltas of one choice, the last one with its finish reason."""
    message: dict[str, Any] = choice.get("message") or {}
    yield {"role": message.get("role", "assistant"), "content": ""}, None
    for field in ("content", "refusal"):
        if message.get(field):
            yield {field: message[field]}, None
    for number, call in enumerate(cast("list[dict[str, Any]]", message.get("tool_calls") or [])):
        yield {"tool_calls": [{"index": number, **call}]}, None
    yield {}, choice.get("finish_reason")


def _text(payload: dict[str, Any]) -> str:
    return msgspec.json.encode(payload).decode()
