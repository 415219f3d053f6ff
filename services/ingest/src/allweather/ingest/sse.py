"""Server-sent events: framing, and what is read of them. Pure."""

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from allweather.contracts.errors import ApiError
from allweather.dialects.lenient import child, parse_object, text
from allweather.ingest.replies import Reply

COMMENT: Final = b": keep-alive\n\n"
CONTENT_TYPE: Final = "text/event-stream; charset=utf-8"

_KIND: Final = re.compile(r'\s*\{\s*"type"\s*:\s*"([^"\\]*)"')


def frame(payloads: Iterable[str]) -> bytes:
    """The payloads as events without names."""
    return "".join([f"data: {payload}\n\n" for payload in payloads]).encode()


def named(payloads: Iterable[str]) -> bytes:
    """The payloads as events that are named by their type."""
    return "".join([f"event: {kind(payload)}\ndata: {payload}\n\n" for payload in payloads]).encode()


def kind(payload: str) -> str:
    """The type of an event, which most writers put in front."""
    in_front = _KIND.match(payload)
    return in_front[1] if in_front else text(parse_object(payload) or {}, "type")


def error_in(reply: Reply) -> ApiError:
    """The error in a reply's body, for a stream whose status has gone out already. All dialects have it in `error`."""
    found: dict[str, Any] = child(parse_object(reply.body) or {}, "error")
    details = child(found, "details")
    return ApiError(
        reply.status,
        text(found, "type") or "server_error",
        text(found, "code") or text(details, "error_code") or None,
        text(found, "message") or "The request ended without an answer.",
        text(found, "param") or text(details, "param") or None,
    )


def encoded(payload: dict[str, Any]) -> str:
    """The JSON text of a payload."""
    return msgspec.json.encode(payload).decode()
