"""Open models on servers that speak Chat Completions: vLLM first; Ollama, TGI and llama.cpp differ in their errors."""

from collections.abc import Mapping, Sequence
from typing import Final

from allweather.contracts.answers import Answer, Event
from allweather.contracts.config import Deployment
from allweather.contracts.conversation import Conversation
from allweather.contracts.failures import FailureKind
from allweather.contracts.slip import Capability, Dialect, Parameter
from allweather.dialects.lenient import Json, children, parse_object, text
from allweather.provider_worker import chat_body, openai_wire, parameters
from allweather.provider_worker.embeddings_wire import CompatibleEmbedder
from allweather.provider_worker.parameters import TRANSLATED, Fate, emulated
from allweather.provider_worker.wire import (
    NOTHING_IN_HEADERS,
    Failed,
    HttpRequest,
    HttpResponse,
    Native,
    ServerSentEvent,
    StreamReader,
    Target,
    failed,
)

CHAT: Final = "/v1/chat/completions"
EMBEDDINGS: Final = "/v1/embeddings"
EFFORTS: Final = ("low", "medium", "high")
PARAMETERS: Final[Mapping[str, Fate]] = {
    **parameters.BASE,
    Parameter.SERIAL_TOOLS: parameters.ONE_CALL,
    "seed": TRANSLATED,
    "thinking": emulated("a budget becomes an effort; models that cannot stop thinking think little"),
    **dict.fromkeys(
        (
            *(Parameter.TEMPERATURE, Parameter.HIGH_TEMPERATURE, Parameter.TOP_P, Parameter.TOP_K, Parameter.STOP),
            *(Parameter.MANY_STOPS, Parameter.CHOICES, Parameter.PRESENCE_PENALTY, Parameter.FREQUENCY_PENALTY),
            *(Parameter.LOGPROBS, Parameter.LOGIT_BIAS, Parameter.JSON_OBJECT, Parameter.IMAGE_URLS),
            *(Parameter.DIMENSIONS, Parameter.MANY_INPUTS, Parameter.PRETOKENIZED),
        ),
        TRANSLATED,
    ),
}
"""These servers ignore what they do not know, so that what is refused here would be lost unsaid."""

CODES: Mapping[str, FailureKind] = {
    **openai_wire.CODES,
    "exceed_context_size_error": FailureKind.TOO_LONG,  # llama.cpp
    "not_supported_error": FailureKind.UNSUPPORTED,  # llama.cpp, under HTTP 501
    "overloaded": FailureKind.UNAVAILABLE,  # TGI, under HTTP 429: its queue is full, no limit of ours
}
TOO_LONG_PHRASES = ("maximum context length", "context length", "prompt is too long", "max_model_len")
"""vLLM and Ollama say it in words only, under HTTP 400."""
BROKEN_OFF = frozenset({"abort", "repetition", "error"})
"""Finish reasons that say the server gave up: not the end of an answer."""


class _Chat:
    api_headers = NOTHING_IN_HEADERS

    def forward(self, body: bytes, target: Target, *, stream: bool) -> HttpRequest:
        url = openai_wire.join(target.endpoint, CHAT)
        return HttpRequest(url, openai_wire.forwarded(body, target.deployment.model, stream=stream, renamed={}))

    def answer(self, response: HttpResponse) -> Answer:
        body = parse_object(response.body)
        _look(body or {})
        try:
            return openai_wire.answer_in(body, response, CODES)
        except Failed as error:
            raise _by_words(error) from None

    def stream(self, received_at_ms: int) -> StreamReader:
        return _Stream(received_at_ms, CODES)


class OpenSource(_Chat):
    capabilities = frozenset(Capability) - {Capability.PARALLEL_TOOLS, Capability.VISION}
    parameters = PARAMETERS
    rate_headers = None
    embedder = CompatibleEmbedder(lambda target: openai_wire.join(target.endpoint, EMBEDDINGS), CODES)

    def __init__(self) -> None:
        self.natives: Mapping[Dialect, Native] = {Dialect.OPENAI_CHAT: _Chat()}

    def authorization(self, secret: str) -> Mapping[str, str]:
        return {"authorization": f"Bearer {secret}"}

    def unsupported(self, conversation: Conversation, deployment: Deployment) -> str | None:
        return parameters.check(conversation, deployment, PARAMETERS)

    def request(self, conversation: Conversation, target: Target, *, stream: bool) -> HttpRequest:
        body = chat_body.body(conversation, target.deployment.model, EFFORTS, limit="max_tokens")
        body.pop("safety_identifier", None)
        return HttpRequest(openai_wire.join(target.endpoint, CHAT), openai_wire.asked(body, stream=stream))


class _Stream(openai_wire.ChatStream):
    def read(self, event: ServerSentEvent) -> Sequence[Event]:
        try:
            return super().read(event)
        except Failed as error:
            raise _by_words(error) from None

    def look(self, chunk: Json) -> None:
        _look(chunk)


def _look(answer: Json) -> None:
    """Raise `Failed` when the server has given up."""
    for choice in children(answer, "choices"):
        reason = text(choice, "finish_reason")
        if reason in BROKEN_OFF:
            raise failed(FailureKind.UNAVAILABLE, f"The server broke the answer off ({reason}).", code=reason)


def _by_words(error: Failed) -> Failed:
    """A context overflow where only the sentence says so."""
    failure = error.failure
    if failure.kind is FailureKind.INVALID and any(phrase in failure.message for phrase in TOO_LONG_PHRASES):
        return failed(FailureKind.TOO_LONG, failure.message, code=failure.vendor_code)
    return error
