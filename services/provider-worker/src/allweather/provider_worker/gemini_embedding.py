"""Embeddings on Vertex AI: `predict` of gemini-embedding-001, `embedContent` of the models after it."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from allweather.contracts.config import Deployment
from allweather.contracts.embedding import EmbeddingRequest, Vectors
from allweather.contracts.failures import FailureKind
from allweather.contracts.slip import Parameter, Usage
from allweather.dialects.lenient import Json
from allweather.dialects.openai_embeddings import reading
from allweather.provider_worker.embeddings_wire import malformed, rendered
from allweather.provider_worker.gemini_wire import failure, parsed, url
from allweather.provider_worker.parameters import TRANSLATED, Fate, emulated, unsayable
from allweather.provider_worker.wire import Answered, Failed, HttpRequest, HttpResponse, Target, failed

PREDICTED: Final = "gemini-embedding-001"
"""The model of `predict`, which takes up to 250 texts; later ones take one."""

PARAMETERS: Final[Mapping[str, Fate]] = {
    Parameter.DIMENSIONS: emulated("shortened by the vendor, and brought to length 1 as OpenAI's are"),
    Parameter.MANY_INPUTS: TRANSLATED,
}


class _Statistics(msgspec.Struct):
    token_count: float = 0
    truncated: bool = False


class _Embeddings(msgspec.Struct):
    values: list[float]
    statistics: _Statistics = msgspec.field(default_factory=_Statistics)


class _Prediction(msgspec.Struct):
    embeddings: _Embeddings


class _Counts(msgspec.Struct, rename="camel"):
    prompt_token_count: int = 0


class _Values(msgspec.Struct):
    values: list[float]


class _Answer(msgspec.Struct, rename="camel"):
    """Of either verb."""

    predictions: list[_Prediction] | None = None
    embedding: _Values | None = None
    usage_metadata: _Counts | None = None
    truncated: bool = False


_decoder: Final = msgspec.json.Decoder(_Answer)


class Embedder:
    """Both verbs are told not to cut a text that is too long, which they do unasked."""

    passes_on = False

    def unsupported(self, asked: EmbeddingRequest, deployment: Deployment) -> str | None:
        return unsayable(reading.parameters(asked), deployment, PARAMETERS)

    def request(self, asked: EmbeddingRequest, body: bytes, target: Target) -> HttpRequest:  # noqa: ARG002 - OpenAI's words
        model = target.deployment.model
        written = _predict(asked) if model == PREDICTED else _embed_content(asked)
        return HttpRequest(
            url(target, "predict" if model == PREDICTED else "embedContent"), msgspec.json.encode(written)
        )

    def answer(self, asked: EmbeddingRequest, target: Target, response: HttpResponse) -> Answered[Vectors]:
        if response.status != 200:
            raise Failed(failure(parsed(response.body) or {}, response))
        try:
            found = _decoder.decode(response.body)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise malformed() from None
        return rendered(_vectors(found, asked, target.deployment.model), asked.encoding)


def _predict(asked: EmbeddingRequest) -> Json:
    shorter = {"outputDimensionality": asked.dimensions} if asked.dimensions else {}
    return {
        "instances": [{"content": text} for text in asked.inputs],
        "parameters": {"autoTruncate": False, **shorter},
    }


def _embed_content(asked: EmbeddingRequest) -> Json:
    shorter = {"outputDimensionality": asked.dimensions} if asked.dimensions else {}
    return {
        "content": {"parts": [{"text": asked.inputs[0]}]},
        "embedContentConfig": {"autoTruncate": False, **shorter},
    }


def _vectors(found: _Answer, asked: EmbeddingRequest, model: str) -> Vectors:
    """What was found, one for each input. Raises `Failed` when it is not all of them, or not of the whole texts."""
    made = [prediction.embeddings for prediction in found.predictions or ()]
    values = [each.values for each in made] or ([found.embedding.values] if found.embedding else [])
    if len(values) != len(asked.inputs):
        raise malformed()
    if found.truncated or any(each.statistics.truncated for each in made):
        raise failed(FailureKind.TOO_LONG, "The vendor has cut a text that is longer than the model's window.")
    counts = found.usage_metadata
    tokens = counts.prompt_token_count if counts else int(sum(each.statistics.token_count for each in made))
    shown = [_of_length_1(each) for each in values] if asked.dimensions else values
    return Vectors(model, shown, Usage(input_tokens=tokens))


def _of_length_1(values: Sequence[float]) -> Sequence[float]:
    """A shortened vector of this vendor is not of length 1, as callers of OpenAI expect it."""
    length = math.hypot(*values)
    return [value / length for value in values] if length else values
