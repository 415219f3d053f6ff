"""Open models on servers that speak Chat Completions: vLLM first; Ollama, TGI and llama.cpp differ in their errors."""

from collections.abc import Iterable, Mapping

from allweather.contracts.failures import FailureKind
from allweather.contracts.slip import Capability
from allweather.dialects.lenient import Json, children, text
from allweather.provider_worker import openai_wire
from allweather.provider_worker.wire import (
    Answer,
    Chunk,
    Failed,
    HttpRequest,
    HttpResponse,
    ServerSentEvent,
    StreamReader,
    Target,
    failed,
)

CODES: Mapping[str, FailureKind] = {
    **openai_wire.CODES,
    "exceed_context_size_error": FailureKind.TOO_LONG,  # llama.cpp
    "not_supported_error": FailureKind.INVALID,  # llama.cpp, under HTTP 501
    "overloaded": FailureKind.UNAVAILABLE,  # TGI, under HTTP 429: its queue is full, no limit of ours
}
TOO_LONG_PHRASES = ("maximum context length", "context length", "prompt is too long", "max_model_len")
"""vLLM and Ollama say it in words only, under HTTP 400."""
BROKEN_OFF = frozenset({"abort", "repetition", "error"})
"""Finish reasons that say the server gave up: not the end of an answer."""


class OpenSource:
    capabilities = frozenset({Capability.STREAMING, Capability.TOOLS, Capability.JSON_SCHEMA, Capability.REASONING})
    rate_headers = None

    def authorization(self, secret: str) -> Mapping[str, str]:
        return {"authorization": f"Bearer {secret}"}

    def request(self, body: Json, target: Target, *, stream: bool) -> HttpRequest:
        url = openai_wire.join(target.endpoint, "/v1/chat/completions")
        return HttpRequest(url, openai_wire.encode(body, target.deployment.model, stream=stream, renamed={}))

    def answer(self, response: HttpResponse) -> Answer:
        try:
            answer = openai_wire.answer(response, CODES)
        except Failed as error:
            raise _by_words(error) from None
        if answer.finish_reason in BROKEN_OFF:
            raise _broken_off(answer.finish_reason)
        return answer

    def stream(self, received_at_ms: int) -> StreamReader:
        return _Stream(received_at_ms, CODES)


class _Stream(openai_wire.ChatStream):
    def read(self, event: ServerSentEvent) -> Iterable[Chunk]:
        try:
            chunks = super().read(event)
        except Failed as error:
            raise _by_words(error) from None
        for choice in (choice for chunk in chunks for choice in children(chunk, "choices")):
            if text(choice, "finish_reason") in BROKEN_OFF:
                raise _broken_off(text(choice, "finish_reason"))
        return chunks


def _broken_off(reason: str) -> Failed:
    return failed(FailureKind.UNAVAILABLE, f"The server broke the answer off ({reason}).", code=reason)


def _by_words(error: Failed) -> Failed:
    """A context overflow where only the sentence says so."""
    failure = error.failure
    if failure.kind is FailureKind.INVALID and any(phrase in failure.message for phrase in TOO_LONG_PHRASES):
        return failed(FailureKind.TOO_LONG, failure.message, code=failure.vendor_code)
    return error
