"""A response as the events that OpenAI would have streamed, numbered from any number on."""

from collections.abc import Iterator
from typing import Any

import msgspec

from allweather.dialects.lenient import Json, children, parse_object, text

Event = tuple[str, Json]
"""The type of an event and its fields."""


def payloads(response: bytes) -> Iterator[str]:
    """The payloads of the events that are the response."""
    whole = parse_object(response) or {}
    begun = begun_of(whole)
    beginning = [("response.created", {"response": begun}), ("response.in_progress", {"response": begun})]
    yield from numbered([*beginning, *rest(whole)])


def begun_of(whole: Json) -> Json:
    """The response as it was when nothing of it had been said."""
    nothing: Json = {"status": "in_progress", "output": [], "usage": None, "error": None, "incomplete_details": None}
    return {name: value for name, value in whole.items() if name != "completed_at"} | nothing


def rest(whole: Json) -> Iterator[Event]:
    """Everything after the beginning: each item, and the end."""
    for index, item in enumerate(children(whole, "output")):
        for kind, fields in _item(item):
            yield kind, {"output_index": index, **fields}
    yield f"response.{whole.get('status')}", {"response": whole}


def numbered(events: list[Event], first: int = 0) -> Iterator[str]:
    """The events as payloads."""
    for number, (kind, fields) in enumerate(events, first):
        yield msgspec.json.encode({"type": kind, "sequence_number": number, **fields}).decode()


def _item(item: Json) -> Iterator[Event]:
    match item.get("type"):
        case "message":
            inside = ("content", _parts(item))
        case "function_call":
            inside = ("arguments", _arguments(item))
        case "reasoning":
            inside = ("summary", _summaries(item))
        case _:
            inside = ("", iter(()))
    field, events = inside
    empty: Any = "" if field == "arguments" else []
    begun = item | ({field: empty} if field else {}) | ({"status": "in_progress"} if "status" in item else {})
    yield "response.output_item.added", {"item": begun}
    yield from events
    yield "response.output_item.done", {"item": item}


def _parts(item: Json) -> Iterator[Event]:
    for number, part in enumerate(children(item, "content")):
        at = {"item_id": item.get("id"), "content_index": number}
        kind, field = ("refusal", "refusal") if part.get("type") == "refusal" else ("output_text", "text")
        logprobs: Json = {"logprobs": part.get("logprobs") or []} if kind == "output_text" else {}
        yield "response.content_part.added", {**at, "part": part | {field: ""}}
        yield f"response.{kind}.delta", {**at, "delta": text(part, field), **logprobs}
        yield f"response.{kind}.done", {**at, field: text(part, field), **logprobs}
        yield "response.content_part.done", {**at, "part": part}


def _arguments(item: Json) -> Iterator[Event]:
    at, said = {"item_id": item.get("id")}, text(item, "arguments")
    yield "response.function_call_arguments.delta", {**at, "delta": said}
    yield "response.function_call_arguments.done", {**at, "name": item.get("name"), "arguments": said}


def _summaries(item: Json) -> Iterator[Event]:
    for number, part in enumerate(children(item, "summary")):
        at, said = {"item_id": item.get("id"), "summary_index": number}, text(part, "text")
        yield "response.reasoning_summary_part.added", {**at, "part": part | {"text": ""}}
        yield "response.reasoning_summary_text.delta", {**at, "delta": said}
        yield "response.reasoning_summary_text.done", {**at, "text": said}
        yield "response.reasoning_summary_part.done", {**at, "part": part}
