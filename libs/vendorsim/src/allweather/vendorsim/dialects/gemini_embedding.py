"""Embeddings on Vertex AI: `predict` of the older model, `embedContent` of the newer."""

from allweather.vendorsim.answers import estimate
from allweather.vendorsim.catalogue import Embedder
from allweather.vendorsim.dialects.gemini_read import text_of
from allweather.vendorsim.dialects.vectors import embedding
from allweather.vendorsim.wire import Json, Outcome, Problem, Usage, Whole, encode, items, members

_MOST_INSTANCES = 250


def predict(payload: Json, model: Embedder) -> Outcome:
    """Embed the texts of all instances."""
    instances = [members(each) for each in items(payload.get("instances"))]
    if not 0 < len(instances) <= _MOST_INSTANCES:
        text = f"{len(instances)} instance(s) is allowed per prediction. Actual: {len(instances)}"
        return Problem(400, text if instances else "Empty instances.", "INVALID_ARGUMENT")
    wanted = members(payload.get("parameters"))
    texts = [str(each.get("content", "")) for each in instances]
    if (problem := _check(texts, wanted.get("outputDimensionality"), model)) is not None:
        return problem
    dimensions = int(wanted.get("outputDimensionality") or model.dimensions)
    predictions = [{"embeddings": _embedded(text, model, dimensions)} for text in texts]
    body = {"predictions": predictions, "metadata": {"billableCharacterCount": sum(map(len, texts))}}
    return Whole(encode(body), Usage(sum(map(estimate, texts))))


def embed_content(payload: Json, model: Embedder) -> Outcome:
    """Embed one content."""
    text = text_of(members(payload.get("content")))
    config = {**payload, **members(payload.get("embedContentConfig"))}
    if (problem := _check([text], config.get("outputDimensionality"), model)) is not None:
        return problem
    dimensions = int(config.get("outputDimensionality") or model.dimensions)
    tokens = estimate(text)
    body = {
        "embedding": {"values": embedding(text, model.id, dimensions)},
        "usageMetadata": {"promptTokenCount": tokens, "totalTokenCount": tokens},
        "truncated": False,
    }
    return Whole(encode(body), Usage(tokens))


def _embedded(text: str, model: Embedder, dimensions: int) -> Json:
    statistics = {"truncated": False, "token_count": estimate(text)}
    return {"statistics": statistics, "values": embedding(text, model.id, dimensions)}


def _check(texts: list[str], dimensions: object, model: Embedder) -> Problem | None:
    if not all(texts):
        return Problem(400, "The text content is empty.", "INVALID_ARGUMENT")
    if dimensions is not None and not (isinstance(dimensions, int) and 1 <= dimensions <= model.dimensions):
        text = f"The outputDimensionality must be between 1 and {model.dimensions}, got {dimensions}."
        return Problem(400, text, "INVALID_ARGUMENT")
    longest = max(map(estimate, texts))
    if longest > model.window:
        text = f"The input token count is {longest} but the model supports up to {model.window}."
        return Problem(400, text, "INVALID_ARGUMENT")
    return None
