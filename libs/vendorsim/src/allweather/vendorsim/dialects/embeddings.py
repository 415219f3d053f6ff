"""Embeddings, as OpenAI and Azure OpenAI serve them."""

from array import array
from base64 import b64encode
from collections.abc import Sequence

from allweather.vendorsim.answers import estimate
from allweather.vendorsim.catalogue import Embedder
from allweather.vendorsim.dialects.gpt_words import invalid
from allweather.vendorsim.dialects.vectors import embedding
from allweather.vendorsim.wire import Json, Outcome, Problem, Usage, Whole, encode, items

_MOST_INPUTS = 2048
_MOST_TOKENS = 300_000
_KNOWN = ("input", "model", "dimensions", "encoding_format", "user")


def answer(payload: Json, model: Embedder) -> Outcome:
    """Check and answer a request: one vector for each input."""
    unknown = next((name for name in payload if name not in _KNOWN), None)
    if unknown is not None:
        return invalid(f"Unrecognized request argument supplied: {unknown}", None, None)
    inputs = read_inputs(payload.get("input"))
    if (problem := _check(payload, inputs, model)) is not None:
        return problem
    data = embedded(payload, inputs, model)
    tokens = sum(count for _, count in inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return Whole(encode({"object": "list", "data": data, "model": model.id, "usage": usage}), Usage(tokens))


def embedded(payload: Json, inputs: Sequence[tuple[str, int]], model: Embedder) -> list[Json]:
    """Return the vector of each input, written as asked."""
    dimensions = payload.get("dimensions") or model.dimensions
    as_text = payload.get("encoding_format") == "base64"
    data: list[Json] = []
    for number, (text, _) in enumerate(inputs):
        vector = embedding(text, model.id, dimensions)
        shown = b64encode(array("f", vector).tobytes()).decode() if as_text else vector
        data.append({"object": "embedding", "index": number, "embedding": shown})
    return data


def read_inputs(given: object) -> list[tuple[str, int]]:
    """Return each input with its tokens: texts, or texts that are tokens already."""
    if isinstance(given, str):
        return [(given, estimate(given))]
    listed = items(given)
    if listed and all(isinstance(each, int) for each in listed):
        listed = [listed]
    return [
        (each, estimate(each)) if isinstance(each, str) else (" ".join(map(str, items(each))), len(items(each)))
        for each in listed
    ]


def _check(payload: Json, inputs: Sequence[tuple[str, int]], model: Embedder) -> Problem | None:
    if not inputs or not all(text for text, _ in inputs):
        text = "'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference."
        return invalid(text, None, None)
    if len(inputs) > _MOST_INPUTS:
        text = (
            f"Invalid 'input': array too long. Expected an array with maximum length {_MOST_INPUTS}, but got an array "
            f"with length {len(inputs)} instead."
        )
        return invalid(text, "array_above_max_length", "input")
    longest, total = max(count for _, count in inputs), sum(count for _, count in inputs)
    if longest > model.window:
        text = (
            f"This model's maximum context length is {model.window} tokens, however you requested {longest} tokens "
            f"({longest} in your prompt; 0 for the completion). Please reduce your prompt; or completion length."
        )
        return invalid(text, None, None)
    if total > _MOST_TOKENS:
        text = f"Requested {total} tokens, max {_MOST_TOKENS} tokens per request"
        return Problem(400, text, "max_tokens_per_request", "max_tokens_per_request")
    return _check_form(payload, model)


def _check_form(payload: Json, model: Embedder) -> Problem | None:
    dimensions, form = payload.get("dimensions"), payload.get("encoding_format")
    if dimensions is not None and not (isinstance(dimensions, int) and 1 <= dimensions <= model.dimensions):
        text = f"Invalid value for 'dimensions' = {dimensions}. Must be less than or equal to {model.dimensions}."
        return invalid(text, None, "dimensions")
    if form in (None, "float", "base64"):
        return None
    text = f"Invalid value: '{form}'. Supported values are: 'float' and 'base64'."
    return invalid(text, "invalid_value", "encoding_format")
