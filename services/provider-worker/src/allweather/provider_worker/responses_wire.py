"""OpenAI Responses as OpenAI and Azure speak it: for callers who speak it too."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from allweather.contracts.answers import (
    Answer,
    Begun,
    CallArguments,
    CallBegun,
    Counted,
    Event,
    Finished,
    Item,
    Refused,
    Said,
    Thought,
)
from allweather.contracts.conversation import Finish, Opaque, Origin
from allweather.contracts.failures import FailureKind
from allweather.contracts.slip import Dialect, Usage
from allweather.dialects.lenient import Json, child, children, count, parse_object, text
from allweather.dialects.openai_responses.sealing import unsealed
from allweather.provider_worker.forwarding import FALSE, Fields, addressed, mend
from allweather.provider_worker.openai_wire import failure
from allweather.provider_worker.reading import complete
from allweather.provider_worker.wire import Failed, HttpResponse, ServerSentEvent, Target, failed

ORIGIN: Final = Origin(Dialect.OPENAI_RESPONSES)
OURS: Final = ("background", "background_options")
"""Fields that the control plane does itself, whoever answers."""
INCOMPLETE: Final = {"max_output_tokens": Finish.LENGTH, "content_filter": Finish.FILTERED_OUTPUT}
KNOWN_ITEMS: Final = frozenset({"message", "reasoning", "function_call"})


def origin(target: Target) -> Origin:
    """Whose the encrypted reasoning is: Azure's resources, each in its region, cannot read each other's."""
    return Origin(Dialect.OPENAI_RESPONSES, f"{target.deployment.vendor}/{target.deployment.region}")


def forwarded(body: bytes, model: str, target: Target, *, stream: bool) -> bytes:
    """The caller's own body with the vendor's model name, without the thoughts that others had."""
    changed: Fields = addressed(body, model, stream=stream)
    for name in OURS:
        changed.pop(name, None)
    changed["store"] = FALSE  # it stands for true where it is left out, and no vendor is to keep anything
    if b'"aw1.' in body:
        mend(changed, "input", lambda items: unsealed(items, origin(target)))
    return msgspec.json.encode(changed)


def answer(response: HttpResponse, codes: Mapping[str, FailureKind]) -> Answer:
    """The answer in a complete response."""
    body = parse_object(response.body)
    if response.status != 200:
        raise Failed(failure(body or {}, response, codes))
    if body is None:
        raise failed(FailureKind.UNAVAILABLE, "The answer is not a JSON object.", code="malformed_answer")
    return complete(_whole(body, response.received_at_ms, codes))


def _whole(body: Json, received_at_ms: int, codes: Mapping[str, FailureKind]) -> Iterator[Event]:
    yield _begun(body, received_at_ms)
    for number, item in enumerate(children(body, "output")):
        yield from _item(item, number)
    yield from _ended(body, codes)


def _begun(body: Json, received_at_ms: int) -> Begun:
    created = count(body, "created_at") or received_at_ms // 1000
    return Begun(text(body, "id"), text(body, "model"), created)


def _item(item: Json, number: int) -> Iterator[Event]:
    match item.get("type"):
        case "message":
            for part in children(item, "content"):
                if text(part, "text"):
                    yield Said(text(part, "text"))
                elif text(part, "refusal"):
                    yield Refused(text(part, "refusal"))
        case "function_call":
            yield CallBegun(number, text(item, "call_id"), text(item, "name"))
            yield CallArguments(number, text(item, "arguments"))
        case "reasoning":
            for summary in children(item, "summary"):
                yield Thought(text(summary, "text"))
            yield from _token(item)
        case _:
            yield Item(Opaque(ORIGIN, item))


def _token(item: Json) -> Iterator[Event]:
    if text(item, "encrypted_content"):
        yield Thought("", text(item, "encrypted_content"), ORIGIN, text(item, "id"))


def _ended(body: Json, codes: Mapping[str, FailureKind]) -> Iterator[Event]:
    status = text(body, "status")
    if status in ("failed", "cancelled"):
        raise Failed(failure({"error": child(body, "error")}, HttpResponse(200, {}, b""), codes))
    if status == "completed":
        yield Finished(_finish(body))
    elif status == "incomplete":
        yield Finished(INCOMPLETE.get(text(child(body, "incomplete_details"), "reason"), Finish.LENGTH))
    if child(body, "usage"):
        yield Counted(_usage(child(body, "usage")))


def _finish(body: Json) -> Finish:
    """There is no finish reason: it is in what was said."""
    items = children(body, "output")
    parts = [part for item in items for part in children(item, "content")]
    if any(part.get("type") == "refusal" for part in parts):
        return Finish.FILTERED_OUTPUT
    called = any(item.get("type") == "function_call" for item in items)
    return Finish.TOOL_CALLS if called else Finish.STOP


def _usage(counts: Json) -> Usage:
    read, output = child(counts, "input_tokens_details"), child(counts, "output_tokens_details")
    return Usage(
        input_tokens=count(counts, "input_tokens"),
        output_tokens=count(counts, "output_tokens"),
        cached_input_tokens=count(read, "cached_tokens"),
        cache_write_tokens=count(read, "cache_write_tokens"),
        reasoning_tokens=count(output, "reasoning_tokens"),
    )


class ResponsesStream:
    """Reads the events of one response up to the one that holds all of it."""

    def __init__(self, received_at_ms: int, codes: Mapping[str, FailureKind]) -> None:
        self.ended = self.aside = False
        self._received_at_ms, self._codes = received_at_ms, codes

    def read(self, event: ServerSentEvent) -> Sequence[Event]:
        data = parse_object(event.data)
        if data is None:
            raise failed(FailureKind.UNAVAILABLE, "The stream holds an event that is not JSON.", code="malformed_chunk")
        kind = text(data, "type")
        if kind == "error":  # some have the error at the top, some nested
            raise Failed(failure(data if "error" in data else {"error": data}, HttpResponse(200, {}, b""), self._codes))
        self.ended = kind in ("response.completed", "response.incomplete", "response.failed")
        return tuple(self._said(kind, data))

    def _said(self, kind: str, data: Json) -> Iterator[Event]:
        match kind:
            case "response.output_text.delta":
                yield from (Said(delta) for delta in [text(data, "delta")] if delta)
            case "response.function_call_arguments.delta":
                yield CallArguments(count(data, "output_index"), text(data, "delta"))
            case "response.refusal.delta":
                yield Refused(text(data, "delta"))
            case "response.reasoning_summary_text.delta":
                yield Thought(text(data, "delta"))
            case "response.created":
                yield _begun(child(data, "response"), self._received_at_ms)
            case "response.output_item.added":
                yield from _added(child(data, "item"), count(data, "output_index"))
            case "response.output_item.done":
                yield from _done(child(data, "item"))
            case "response.completed" | "response.incomplete" | "response.failed":
                yield from _ended(child(data, "response"), self._codes)
            case _:  # the rest frames what is read elsewhere, or was added since
                return


def _added(item: Json, number: int) -> Iterator[Event]:
    if item.get("type") == "function_call":
        yield CallBegun(number, text(item, "call_id"), text(item, "name"))


def _done(item: Json) -> Iterator[Event]:
    if item.get("type") == "reasoning":
        yield from _token(item)
    elif text(item, "type") not in KNOWN_ITEMS:
        yield Item(Opaque(ORIGIN, item))
