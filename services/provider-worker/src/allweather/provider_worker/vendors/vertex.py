"""Google Vertex AI: Gemini generateContent and streamGenerateContent."""

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
    Refused,
    Said,
    Thought,
)
from allweather.contracts.config import Deployment
from allweather.contracts.conversation import Conversation, Finish
from allweather.contracts.failures import FailureKind
from allweather.contracts.slip import Capability, Dialect, Parameter, Usage
from allweather.dialects.lenient import Json, child, children, count, parse, text
from allweather.provider_worker import gemini_body, parameters
from allweather.provider_worker.failures import by_status
from allweather.provider_worker.parameters import TRANSLATED, Fate, emulated, hint
from allweather.provider_worker.rates import duration_ms, retry_after_ms
from allweather.provider_worker.reading import complete
from allweather.provider_worker.wire import (
    Failed,
    Failure,
    HttpRequest,
    HttpResponse,
    Native,
    ServerSentEvent,
    StreamReader,
    Target,
    failed,
)

PARAMETERS: Final[Mapping[str, Fate]] = {
    **parameters.BASE,
    **dict.fromkeys(
        (
            *(Parameter.TEMPERATURE, Parameter.HIGH_TEMPERATURE, Parameter.TOP_P, Parameter.TOP_K, Parameter.STOP),
            *(Parameter.PRESENCE_PENALTY, Parameter.FREQUENCY_PENALTY, Parameter.JSON_OBJECT),
            *(Parameter.IMAGE_URLS, Parameter.DOCUMENTS, Parameter.DOCUMENT_URLS),
        ),
        TRANSLATED,
    ),
    Parameter.ALLOWED_TOOLS: emulated("the other tools are not offered"),
    "seed": TRANSLATED,
    "instructions": emulated("gathered in `systemInstruction`, wherever they stand in the conversation"),
    "turns": emulated("results of tools are objects here; calls get ids, the same whenever the answer is read"),
    "thinking": emulated("an effort becomes a level or a budget; models that cannot stop thinking think least"),
    "parallel_tools": hint("there is no switch; more than one is what the model does anyway"),
}
NATIVES: Final[Mapping[Dialect, Native]] = {}
"""Nobody speaks Gemini's own format to us."""

FINISHES = {
    "STOP": Finish.STOP,
    "MAX_TOKENS": Finish.LENGTH,
    **dict.fromkeys(
        ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE"),
        Finish.FILTERED_OUTPUT,
    ),
}
MODEL_ERRORS = frozenset(
    {"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE"}
)
"""The model broke off, under HTTP 200; another call may succeed."""
UNKNOWN = Finish.LENGTH
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
    capabilities = frozenset(Capability)
    natives = NATIVES
    parameters = PARAMETERS
    rate_headers = None  # a 429 of the shared capacity comes without a word on limits

    def authorization(self, secret: str) -> Mapping[str, str]:
        return {"authorization": f"Bearer {secret}"}

    def unsupported(self, conversation: Conversation, deployment: Deployment) -> str | None:
        return parameters.check(conversation, deployment, PARAMETERS)

    def request(self, conversation: Conversation, target: Target, *, stream: bool) -> HttpRequest:
        body = gemini_body.body(conversation, target.deployment.model)
        return HttpRequest(_url(target, stream=stream), msgspec.json.encode(body))

    def answer(self, response: HttpResponse) -> Answer:
        body = _object(response.body)
        if body is None:
            raise failed(by_status(response.status), "The answer is not a JSON object.", code="malformed_answer")
        if response.status != 200 or "error" in body:
            raise Failed(_failure(body, response))
        reader = _Reader(response.received_at_ms)
        return complete([*reader.read(body), *_whole(body)])

    def stream(self, received_at_ms: int) -> StreamReader:
        return _Stream(received_at_ms)


def _url(target: Target, *, stream: bool) -> str:
    deployment = target.deployment
    verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
    place = f"projects/{target.project}/locations/{deployment.region}"
    return f"{target.endpoint.rstrip('/')}/v1/{place}/publishers/google/models/{deployment.model}:{verb}"


def _object(body: str | bytes) -> Json | None:
    """The object of a body; errors of the stream endpoint come as a list of one."""
    value = parse(body)
    listed = children({"": value if isinstance(value, list) else [value]}, "")
    return listed[0] if listed else None


def _whole(body: Json) -> Sequence[Event]:
    """What a whole answer without candidates says. Raises `Failed` when nothing explains it."""
    if children(body, "candidates") or _blocked(body):
        return ()
    raise failed(FailureKind.UNAVAILABLE, "The answer has no candidates.", code="no_candidates")


def _blocked(body: Json) -> str:
    """Why the prompt was blocked, empty when it was not."""
    return text(child(body, "promptFeedback"), "blockReason")


class _Reader:
    """Reads the responses of one answer: one when it comes whole, many when it is streamed."""

    def __init__(self, received_at_ms: int) -> None:
        self._created = received_at_ms // 1000
        self._id = self._model = ""
        self._begun = False
        self._calls = 0

    def read(self, body: Json) -> Iterator[Event]:
        """What the response says."""
        if not self._begun and (text(body, "responseId") or children(body, "candidates") or _blocked(body)):
            self._begun = True
            self._id, self._model = text(body, "responseId"), text(body, "modelVersion")
            yield Begun(self._id, self._model, self._created)
        for candidate in children(body, "candidates")[:1]:
            for part in children(child(candidate, "content"), "parts"):
                yield from self._part(part)
            reason = text(candidate, "finishReason")
            if reason:
                yield Finished(self._finish(reason))
        if _blocked(body):
            yield Refused(f"The prompt was blocked ({_blocked(body)}).")
            yield Finished(Finish.FILTERED_INPUT)
        if child(body, "usageMetadata"):
            yield Counted(_usage(child(body, "usageMetadata")))

    def _part(self, part: Json) -> Iterator[Event]:
        """A part, and the signature beside it: before a call, after words (behind which a stream may bring it late)."""
        signature, words = text(part, "thoughtSignature"), text(part, "text")
        call = child(part, "functionCall")
        if call:
            yield from self._call(call, signature)
        elif part.get("thought"):
            yield from (Thought(words) for _ in [words] if words)
        else:
            yield from (Said(words) for _ in [words] if words)
            yield from self._signature(signature, "")

    def _call(self, call: Json, signature: str) -> Iterator[Event]:
        number, self._calls = self._calls, self._calls + 1
        name = text(call, "id") or gemini_body.derived_id(self._id, number)
        yield from self._signature(signature, name)
        yield CallBegun(number, name, text(call, "name"))
        yield CallArguments(number, msgspec.json.encode(child(call, "args")).decode())

    def _signature(self, signature: str, of: str) -> Iterator[Event]:
        if signature:
            yield Thought("", signature, gemini_body.origin(self._model), of)

    def _finish(self, reason: str) -> Finish:
        """Calls are told by what was said: their reason is `STOP`. Raises `Failed` for an error of the model."""
        if reason in MODEL_ERRORS:
            raise failed(FailureKind.UNAVAILABLE, f"The model broke off ({reason}).", code=reason)
        if reason.startswith("IMAGE_"):
            return Finish.FILTERED_OUTPUT
        finish = FINISHES.get(reason, UNKNOWN)
        return Finish.TOOL_CALLS if self._calls and finish is Finish.STOP else finish


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
        self.ended = self.aside = False
        self._received_at_ms = received_at_ms
        self._reader = _Reader(received_at_ms)

    def read(self, event: ServerSentEvent) -> Sequence[Event]:
        body = _object(event.data)
        if body is None:
            raise failed(FailureKind.UNAVAILABLE, "The stream holds a chunk that is not JSON.", code="malformed_chunk")
        if "error" in body:
            raise Failed(_failure(body, HttpResponse(200, {}, b"", self._received_at_ms)))
        return tuple(self._reader.read(body))


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
