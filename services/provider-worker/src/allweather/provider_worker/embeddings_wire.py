"""Embeddings as OpenAI and compatible servers make them: the caller's own words go there, the vendor's come back."""

import struct
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from allweather.contracts.config import Deployment
from allweather.contracts.embedding import EmbeddingRequest, Encoding, Vectors
from allweather.contracts.failures import FailureKind
from allweather.contracts.slip import Usage
from allweather.dialects.lenient import parse_object
from allweather.dialects.openai_embeddings import reading, rendering
from allweather.provider_worker import openai_wire
from allweather.provider_worker.forwarding import addressed
from allweather.provider_worker.wire import Answered, Failed, HttpRequest, HttpResponse, Target, failed

TOO_LONG: Final = "maximum context length"
"""OpenAI and vLLM say in words only that a text is longer than the window."""


class _Counts(msgspec.Struct):
    prompt_tokens: int = 0


class _Item(msgspec.Struct):
    embedding: msgspec.Raw


class _List(msgspec.Struct):
    data: list[_Item]
    model: str = ""
    usage: _Counts | None = None


_list: Final = msgspec.json.Decoder(_List)
_numbers: Final = msgspec.json.Decoder(tuple[float, ...])
_text: Final = msgspec.json.Decoder(str)


class CompatibleEmbedder:
    """Passes on what the caller wrote, and what the vendor answered."""

    passes_on = True

    def __init__(self, url: Callable[[Target], str], codes: Mapping[str, FailureKind] = openai_wire.CODES) -> None:
        self._url, self._codes = url, codes

    def unsupported(self, asked: EmbeddingRequest, deployment: Deployment) -> str | None:
        return next((wish for wish in reading.parameters(asked) if wish in deployment.refuses), None)

    def request(self, asked: EmbeddingRequest, body: bytes, target: Target) -> HttpRequest:  # noqa: ARG002 - the caller's own words say it all
        changed = addressed(body, target.deployment.model, stream=False)
        return HttpRequest(self._url(target), msgspec.json.encode(changed))

    def answer(self, asked: EmbeddingRequest, target: Target, response: HttpResponse) -> Answered[Vectors]:
        if response.status != 200:
            raise self._failed(response)
        try:
            found = _list.decode(response.body)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise self._failed(response) if b'"error"' in response.body[:64] else malformed() from None
        if len(found.data) != len(asked.inputs):
            raise malformed()
        usage = Usage(input_tokens=found.usage.prompt_tokens) if found.usage else None
        model = found.model or target.deployment.model
        if _fits(found, asked.encoding):
            return Answered(Vectors(model, (), usage), response.body)
        return rendered(Vectors(model, _values(found), usage), asked.encoding)

    def _failed(self, response: HttpResponse) -> Failed:
        failure = openai_wire.failure(parse_object(response.body) or {}, response, self._codes)
        if failure.kind is FailureKind.INVALID and TOO_LONG in failure.message:
            return failed(FailureKind.TOO_LONG, failure.message, code=failure.vendor_code)
        return Failed(failure)


def rendered(vectors: Vectors, encoding: Encoding) -> Answered[Vectors]:
    """The vectors as the caller asked for them. Raises `Failed` for numbers that no float of 32 bits can be."""
    try:
        return Answered(vectors, rendering.render(vectors, encoding))
    except (OverflowError, struct.error):
        raise malformed() from None


def malformed() -> Failed:
    """What the vendor said are not the vectors that were asked for."""
    return failed(FailureKind.UNAVAILABLE, "The answer does not hold a vector for each input.", code="malformed_answer")


def _fits(found: _List, encoding: Encoding) -> bool:
    """Whether the numbers are written as asked: some servers know only one way."""
    return all(_is_packed(item.embedding) is (encoding == "base64") for item in found.data)


def _is_packed(written: msgspec.Raw) -> bool:
    return memoryview(written)[0] == ord('"')


def _values(found: _List) -> list[tuple[float, ...]]:
    try:
        return [_value(item.embedding) for item in found.data]
    except (msgspec.MsgspecError, ValueError):
        raise malformed() from None


def _value(written: msgspec.Raw) -> tuple[float, ...]:
    if _is_packed(written):
        return tuple(rendering.unpacked(_text.decode(written)))
    return _numbers.decode(written)
