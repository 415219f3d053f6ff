"""Embeddings as vLLM serves them: lenient about members, but not every model can make shorter vectors."""

from allweather.vendorsim.catalogue import OPENSOURCE_EMBEDDERS, Embedder
from allweather.vendorsim.dialects.embeddings import embedded, read_inputs
from allweather.vendorsim.wire import Json, Outcome, Problem, Ticket, Usage, Whole, encode


def answer(payload: Json, ticket: Ticket) -> Outcome:
    """Check and answer a request: one vector for each input."""
    model = OPENSOURCE_EMBEDDERS[str(payload["model"])]
    inputs = read_inputs(payload.get("input"))
    longest = max((count for _, count in inputs), default=0)
    if (problem := _check(payload, longest, model)) is not None:
        return problem
    tokens = sum(count for _, count in inputs)
    body: Json = {
        "id": f"embd-{ticket.hex(32)}",
        "object": "list",
        "created": int(ticket.wall),
        "model": model.id,
        "data": embedded(payload, inputs, model),
        "usage": {
            "prompt_tokens": tokens,
            "total_tokens": tokens,
            "completion_tokens": 0,
            "prompt_tokens_details": None,
        },
    }
    return Whole(encode(body), Usage(tokens))


def _check(payload: Json, longest: int, model: Embedder) -> Problem | None:
    if not longest:
        return _bad_request("You must pass at least one input that is not empty.")
    if payload.get("dimensions") is not None:
        text = (
            f'Model "{model.id}" does not support matryoshka representation, changing output dimensions will lead to '
            "poor results."
        )
        return _bad_request(text)
    if longest > model.window:
        text = (
            f"This model's maximum context length is {model.window} tokens. However, you requested {longest} tokens in "
            "the input for embedding generation. Please reduce the length of the input."
        )
        return _bad_request(text)
    return None


def _bad_request(text: str) -> Problem:
    return Problem(400, text, "BadRequestError", 400)
