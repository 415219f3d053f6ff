"""Google Vertex AI: Gemini generateContent and streamGenerateContent."""

from collections.abc import Iterable, Mapping

import msgspec

from allweather.contracts.failures import FailureKind
from allweather.contracts.slip import Capability, Usage
from allweather.dialects.lenient import Json, child, children, count, parse, text
from allweather.provider_worker import chat, parameters
from allweather.provider_worker.failures import by_status
from allweather.provider_worker.rates import duration_ms, retry_after_ms
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

PARAMETERS = {
    **parameters.NEUTRAL,
    "temperature": parameters.between(0, 2),
    "seed": parameters.TRANSLATED,
    "response_format": parameters.format_of("text", "json_object", "json_schema"),
    "presence_penalty": parameters.between(-2, 2),
    "frequency_penalty": parameters.between(-2, 2),
}
GENERATION = {
    "temperature": "temperature",
    "top_p": "topP",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}
"""Parameters that differ in name only."""

FINISH_REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    **dict.fromkeys(
        ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE"),
        "content_filter",
    ),
}
MODEL_ERRORS = frozenset(
    {"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE"}
)
"""The model broke off, under HTTP 200; another call may succeed."""
UNKNOWN_REASON = "length"
"""`OTHER`, or a reason added since: the answer is not known to be complete, so it is not shown as such."""

STATUSES = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL": 500,
    "UNKNOWN": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}


class Vertex:
    capabilities = frozenset({Capability.STREAMING, Capability.JSON_SCHEMA})
    rate_headers = None  # a 429 of the shared capacity comes without a word on limits

    def authorization(self, secret: str) -> Mapping[str, str]:
        return {"authorization": f"Bearer {secret}"}

    def request(self, body: Json, target: Target, *, stream: bool) -> HttpRequest:
        parameters.check(body, PARAMETERS, "Vertex")
        return HttpRequest(_url(target, stream=stream), msgspec.json.encode(_body(body)))

    def answer(self, response: HttpResponse) -> Answer:
        body = _object(response.body)
        if body is None:
            raise failed(by_status(response.status), "The answer is not a JSON object.", code="malformed_answer")
        if response.status != 200 or "error" in body:
            raise Failed(_failure(body, response))
        return chat.answer(_completion(body, response.received_at_ms))

    def stream(self, received_at_ms: int) -> StreamReader:
        return _Stream(received_at_ms)


def _url(target: Target, *, stream: bool) -> str:
    deployment = target.deployment
    verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
    place = f"projects/{target.project}/locations/{deployment.region}"
    return f"{target.endpoint.rstrip('/')}/v1/{place}/publishers/google/models/{deployment.model}:{verb}"


def _body(body: Json) -> Json:
    request = chat.read(body)
    generation = {theirs: body[ours] for ours, theirs in GENERATION.items() if body.get(ours) is not None}
    if request.output_limit:
        generation["maxOutputTokens"] = request.output_limit
    if request.stops:
        generation["stopSequences"] = request.stops
    if request.wants_json:
        generation["responseMimeType"] = "application/json"
    if request.schema is not None:
        generation["responseJsonSchema"] = request.schema
    translated: Json = {"contents": [_content(turn) for turn in request.turns]}
    if request.instructions:
        translated["systemInstruction"] = {"parts": [{"text": request.instructions}]}
    return translated | ({"generationConfig": generation} if generation else {})


def _content(turn: chat.Message) -> Json:
    return {"role": "model" if turn.role == "assistant" else "user", "parts": [{"text": turn.text}]}


def _object(body: str | bytes) -> Json | None:
    """The object of a body; errors of the stream endpoint come as a list of one."""
    value = parse(body)
    listed = children({"": value if isinstance(value, list) else [value]}, "")
    return listed[0] if listed else None


def _completion(body: Json, received_at_ms: int) -> Json:
    head, usage = _head(body, received_at_ms), _usage(child(body, "usageMetadata"))
    for candidate in children(body, "candidates"):
        return head.completion({"content": _text(candidate) or None}, _finish_reason(candidate), usage)
    return head.completion({"refusal": _blocked(body)}, "content_filter", usage)


def _head(body: Json, received_at_ms: int) -> chat.Head:
    return chat.Head(text(body, "responseId"), text(body, "modelVersion"), received_at_ms // 1000)


def _blocked(body: Json) -> str:
    """What a prompt that was blocked is answered with. Raises `Failed` when nothing says that it was."""
    reason = text(child(body, "promptFeedback"), "blockReason")
    if not reason:
        raise failed(FailureKind.UNAVAILABLE, "The answer has no candidates.", code="no_candidates")
    return f"The prompt was blocked ({reason})."


def _text(candidate: Json) -> str:
    """The visible text; thoughts are marked, and a candidate may have no parts at all."""
    parts = children(child(candidate, "content"), "parts")
    return "".join(text(part, "text") for part in parts if not part.get("thought"))


def _finish_reason(candidate: Json) -> str:
    """The normal form of `finishReason`, empty while there is none. Raises `Failed` for an error of the model."""
    reason = text(candidate, "finishReason")
    if reason in MODEL_ERRORS:
        raise failed(FailureKind.UNAVAILABLE, f"The model broke off ({reason}).", code=reason)
    if reason.startswith("IMAGE_"):
        return "content_filter"
    return reason and FINISH_REASONS.get(reason, UNKNOWN_REASON)


def _usage(counts: Json) -> Usage:
    """Gemini counts thoughts beside the answer; here they are contained in the output, as they are billed."""
    thoughts = count(counts, "thoughtsTokenCount")
    return Usage(
        input_tokens=count(counts, "promptTokenCount") + count(counts, "toolUsePromptTokenCount"),
        output_tokens=count(counts, "candidatesTokenCount") + thoughts,
        cached_input_tokens=count(counts, "cachedContentTokenCount"),
        reasoning_tokens=thoughts,
    )


class _Stream:
    """Reads `data: {response}` lines. There is no terminator: the stream ends with the connection."""

    def __init__(self, received_at_ms: int) -> None:
        self.ended = False
        self._received_at_ms = received_at_ms
        self._begun = False

    def read(self, event: ServerSentEvent) -> Iterable[Chunk]:
        body = _object(event.data)
        if body is None:
            raise failed(FailureKind.UNAVAILABLE, "The stream holds a chunk that is not JSON.", code="malformed_chunk")
        if "error" in body:
            raise Failed(_failure(body, HttpResponse(200, {}, b"", self._received_at_ms)))
        return self._chunks(body)

    def _chunks(self, body: Json) -> Iterable[Chunk]:
        head = _head(body, self._received_at_ms)
        if not self._begun:
            self._begun = True
            yield head.chunk({"role": "assistant", "content": ""})
        delta, reason = _said(body)
        if delta:
            yield head.chunk(delta)
        if reason:
            yield head.chunk({}, reason)
            yield head.usage_chunk(_usage(child(body, "usageMetadata")))


def _said(body: Json) -> tuple[Json, str]:
    """What one response of a stream adds, and its finish reason; it may say nothing (usage alone)."""
    for candidate in children(body, "candidates"):
        words, reason = _text(candidate), _finish_reason(candidate)
        return ({"content": words} if words else {}), reason
    blocked = "blockReason" in child(body, "promptFeedback")
    return ({"refusal": _blocked(body)}, "content_filter") if blocked else ({}, "")


def _failure(body: Json, response: HttpResponse) -> Failure:
    error = child(body, "error")
    code = text(error, "status")
    status = response.status if response.status != 200 else STATUSES.get(code) or count(error, "code")
    message = text(error, "message") or f"HTTP {status} without a message."
    kind = _kind(status, message, error)
    said = "The vendor rejected the credential." if kind is FailureKind.AUTH_FAILED else message
    retry_after = retry_after_ms(response.headers, response.received_at_ms)
    return Failure(kind, said, code or None, retry_after if retry_after is not None else _retry_delay(error))


def _kind(status: int, message: str, error: Json) -> FailureKind:
    reasons = {text(detail, "reason") for detail in children(error, "details")}
    if status == 400 and "API_KEY_INVALID" in reasons:
        return FailureKind.AUTH_FAILED
    if status == 400 and "token count" in message and "exceeds" in message:
        return FailureKind.TOO_LONG
    return by_status(status)


def _retry_delay(error: Json) -> int | None:
    """`RetryInfo.retryDelay` (`48s`), where Google gives one."""
    delays = (duration_ms(text(detail, "retryDelay")) for detail in children(error, "details"))
    return next((delay for delay in delays if delay is not None), None)
