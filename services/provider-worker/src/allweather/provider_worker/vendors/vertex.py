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
from allweather.dialects.lenient import Json, child, children, count, text
from allweather.provider_worker import gemini_body, gemini_embedding, parameters
from allweather.provider_worker.failures import by_status
from allweather.provider_worker.gemini_wire import failure, parsed, url
from allweather.provider_worker.parameters import TRANSLATED, Fate, emulated, hint
from allweather.provider_worker.reading import complete
from allweather.provider_worker.wire import (
    Failed,
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
    **gemini_embedding.PARAMETERS,
    Parameter.ALLOWED_TOOLS: emulated("the other tools are not offered"),
    Parameter.SERIAL_TOOLS: parameters.ONE_CALL,
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


class Vertex:
    capabilities = frozenset(Capability)
    natives = NATIVES
    parameters = PARAMETERS
    embedder = gemini_embedding.Embedder()
    rate_headers = None  # a 429 of the shared capacity comes without a word on limits

    def authorization(self, secret: str) -> Mapping[str, str]:
        return {"authorization": f"Bearer {secret}"}

    def unsupported(self, conversation: Conversation, deployment: Deployment) -> str | None:
        return parameters.check(conversation, deployment, PARAMETERS)

    def request(self, conversation: Conversation, target: Target, *, stream: bool) -> HttpRequest:
        body = gemini_body.body(conversation, target.deployment.model)
        verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return HttpRequest(url(target, verb), msgspec.json.encode(body))

    def answer(self, response: HttpResponse) -> Answer:
        body = parsed(response.body)
        if body is None:
            raise failed(by_status(response.status), "The answer is not a JSON object.", code="malformed_answer")
        if response.status != 200 or "error" in body:
            raise Failed(failure(body, response))
        reader = _Reader(response.received_at_ms)
        return complete([*reader.read(body), *_whole(body)])

    def stream(self, received_at_ms: int) -> StreamReader:
        return _Stream(received_at_ms)


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
        body = parsed(event.data)
        if body is None:
            raise failed(FailureKind.UNAVAILABLE, "The stream holds a chunk that is not JSON.", code="malformed_chunk")
        if "error" in body:
            raise Failed(failure(body, HttpResponse(200, {}, b"", self._received_at_ms)))
        return tuple(self._reader.read(body))
