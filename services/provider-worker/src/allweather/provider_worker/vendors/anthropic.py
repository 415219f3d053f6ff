"""Anthropic Messages, version 2023-06-01 (the later one refuses sampling parameters)."""

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from allweather.contracts.failures import FailureKind
from allweather.contracts.slip import Capability, Usage
from allweather.dialects.lenient import Json, child, children, count, parse_object, text
from allweather.provider_worker import chat, parameters
from allweather.provider_worker.failures import by_status
from allweather.provider_worker.rates import RateHeaders, retry_after_ms
from allweather.provider_worker.wire import (
    Answer,
    Chunk,
    Failed,
    Failure,
    HttpRequest,
    HttpResponse,
    ServerSentEvent,
    StreamReader,
    Target,
    failed,
)

API_VERSION = "2023-06-01"
DEFAULT_MAX_TOKENS = 16_384
"""The vendor wants a limit; a plain call that may write more than 21,333 tokens could run into its ten minutes."""

PARAMETERS = {
    **parameters.NEUTRAL,
    "temperature": parameters.between(0, 1),
    "response_format": parameters.format_of("text", "json_schema"),
    "user": parameters.TRANSLATED,
    "safety_identifier": parameters.TRANSLATED,
}

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    "model_context_window_exceeded": "length",
}
UNKNOWN_REASON = "length"
"""A reason added since: the answer is not known to be complete, so it is not shown as such."""

SPEND_LIMITS = frozenset({"enforced_spend_limit_reached", "contract_spend_limit_reached"})


class Anthropic:
    capabilities = frozenset({Capability.STREAMING, Capability.JSON_SCHEMA})
    rate_headers = RateHeaders(
        requests="anthropic-ratelimit-requests-{what}", tokens="anthropic-ratelimit-tokens-{what}"
    )

    def authorization(self, secret: str) -> Mapping[str, str]:
        return {"x-api-key": secret}

    def request(self, body: Json, target: Target, *, stream: bool) -> HttpRequest:
        parameters.check(body, PARAMETERS, "Anthropic")
        translated = _body(chat.read(body), target) | ({"stream": True} if stream else {})
        headers = {"anthropic-version": target.deployment.api_version or API_VERSION}
        return HttpRequest(f"{target.endpoint.rstrip('/')}/v1/messages", msgspec.json.encode(translated), headers)

    def answer(self, response: HttpResponse) -> Answer:
        body = parse_object(response.body)
        if response.status != 200:
            raise Failed(_failure(body or {}, response))
        if body is None:
            raise failed(FailureKind.UNAVAILABLE, "The answer is not a JSON object.", code="malformed_answer")
        if body.get("type") == "error":
            raise Failed(_failure(body, response))
        return chat.answer(_completion(body, response.received_at_ms))

    def stream(self, received_at_ms: int) -> StreamReader:
        return _Stream(received_at_ms)


def _body(request: chat.ChatRequest, target: Target) -> Json:
    limit = request.output_limit or min(DEFAULT_MAX_TOKENS, target.deployment.max_output_tokens)
    optional = {
        "system": request.instructions,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "stop_sequences": request.stops,
        "output_config": request.schema and {"format": {"type": "json_schema", "schema": request.schema}},
        "metadata": _metadata(request.safety_identifier or request.user),
    }
    return {
        "model": target.deployment.model,
        "max_tokens": limit,
        "messages": [{"role": turn.role, "content": turn.text} for turn in request.turns],
        **{name: value for name, value in optional.items() if value not in (None, "", [])},
    }


def _metadata(user: str | None) -> Json | None:
    """The user as an opaque id: callers put addresses there, and the vendor asks for no personal data."""
    return {"user_id": hashlib.sha256(user.encode()).hexdigest()} if user else None


def _completion(message: Json, received_at_ms: int) -> Json:
    head = chat.Head(text(message, "id"), text(message, "model"), received_at_ms // 1000)
    words = "".join(text(block, "text") for block in children(message, "content") if block.get("type") == "text")
    said = {"content": words or None, "refusal": _refusal(message)}
    return head.completion(said, _finish_reason(message), _usage(child(message, "usage")))


def _finish_reason(stopped: Json) -> str:
    """The normal form of `stop_reason`, empty while there is none."""
    reason = text(stopped, "stop_reason")
    return reason and FINISH_REASONS.get(reason, UNKNOWN_REASON)


def _refusal(stopped: Json) -> str | None:
    if stopped.get("stop_reason") != "refusal":
        return None
    return text(child(stopped, "stop_details"), "explanation") or "The model declined to answer."


def _usage(usage: Json) -> Usage:
    """Anthropic counts cached input beside the rest; here it is contained in the total, as everywhere else."""
    read, written = count(usage, "cache_read_input_tokens"), count(usage, "cache_creation_input_tokens")
    return Usage(
        input_tokens=count(usage, "input_tokens") + read + written,
        output_tokens=count(usage, "output_tokens"),
        cached_input_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=count(child(usage, "output_tokens_details"), "thinking_tokens"),
    )


class _Stream:
    def __init__(self, received_at_ms: int) -> None:
        self.ended = False
        self._head = chat.Head("", "", received_at_ms // 1000)
        self._usage: Json = {}

    def read(self, event: ServerSentEvent) -> Iterable[Chunk]:
        data = parse_object(event.data)
        if data is None:
            raise failed(FailureKind.UNAVAILABLE, "The stream holds an event that is not JSON.", code="malformed_chunk")
        return self._read(data)

    def _read(self, data: Json) -> Iterable[Chunk]:
        match data.get("type"):
            case "message_start":
                return self._started(child(data, "message"))
            case "content_block_delta":
                return self._said(child(data, "delta"))
            case "message_delta":
                return self._stopped(child(data, "delta"), child(data, "usage"))
            case "error":
                raise Failed(_failure(data, HttpResponse(200, {}, b"")))
            case kind:  # pings, block starts and ends, and events added since
                self.ended = kind == "message_stop"
                return ()

    def _started(self, message: Json) -> Iterable[Chunk]:
        self._head = chat.Head(text(message, "id"), text(message, "model"), self._head.created)
        self._usage = child(message, "usage")
        return (self._head.chunk({"role": "assistant", "content": ""}),)

    def _said(self, delta: Json) -> Iterable[Chunk]:
        return (self._head.chunk({"content": text(delta, "text")}),) if delta.get("type") == "text_delta" else ()

    def _stopped(self, delta: Json, usage: Json) -> Iterable[Chunk]:
        """The end of the message: its counts are cumulative, those that it repeats replace the first ones."""
        self._usage = self._usage | {name: value for name, value in usage.items() if value is not None}
        reason, refusal = _finish_reason(delta), _refusal(delta)
        if not reason:
            return ()
        last = self._head.chunk({"refusal": refusal} if refusal else {}, reason)
        return last, self._head.usage_chunk(_usage(self._usage))


_STATUS_OF = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The status of an error that comes in an open stream, where HTTP has already said 200."""


def _failure(body: Json, response: HttpResponse) -> Failure:
    error = child(body, "error")
    code = text(child(error, "details"), "error_code") or text(error, "type")
    status = response.status if response.status != 200 else _STATUS_OF.get(text(error, "type"), 500)
    message = text(error, "message") or f"HTTP {status} without a message."
    kind = _kind(code, status, message)
    said = "The vendor rejected the credential." if kind is FailureKind.AUTH_FAILED else message
    return Failure(kind, said, code or None, retry_after_ms(response.headers, response.received_at_ms))


def _kind(code: str, status: int, message: str) -> FailureKind:
    if code in SPEND_LIMITS:
        return FailureKind.QUOTA_EXHAUSTED
    if status == 400 and message.startswith("prompt is too long"):
        return FailureKind.TOO_LONG
    return by_status(status)
