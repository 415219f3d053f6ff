"""The body of an embedding request, read: what is asked for, and what is wrong with it."""

from typing import Final, cast

import msgspec

from allweather.contracts.embedding import EmbeddingRequest
from allweather.contracts.slip import Capability, Needs, Parameter
from allweather.dialects import fields
from allweather.dialects.invalid import Invalid, check_model, check_positive, unsupported
from allweather.dialects.json_body import decode
from allweather.dialects.needs import BYTES_PER_TOKEN
from allweather.dialects.openai_embeddings.shape import FIELDS, NAMES, Body

ENCODINGS: Final = ("float", "base64")
MAX_INPUTS: Final = 2048
EMPTY: Final = "Invalid 'input': expected a text, or at least one text or list of tokens, none of them empty."
MIXED: Final = "Invalid 'input': expected texts only, tokens only, or lists of tokens only."

_decoder = msgspec.json.Decoder(Body)


def read(body: bytes) -> EmbeddingRequest:
    """The request in a body. Raises `Invalid`, naming the field."""
    given = decode(_decoder, body)
    check_model(given.model)
    check_positive("dimensions", given.dimensions)
    encoding = given.encoding_format or "float"
    if encoding not in ENCODINGS:
        raise unsupported("encoding_format", encoding, ENCODINGS)
    return EmbeddingRequest(
        model=given.model,
        inputs=_inputs(given.input),
        dimensions=given.dimensions,
        encoding=encoding,
        user=given.user or "",
        others=fields.others(body, FIELDS),
    )


def needs(asked: EmbeddingRequest) -> Needs:
    """What a candidate must offer."""
    estimates = [_estimate(each) for each in asked.inputs]
    wishes = {parameter: NAMES.get(parameter, parameter.value) for parameter in parameters(asked)}
    if asked.others:
        wishes[Parameter.NATIVE] = asked.others[0]
    return Needs(
        capabilities=(Capability.EMBEDDINGS,),
        parameters=wishes,
        input_tokens=sum(estimates),
        longest_input_tokens=max(estimates),
    )


def parameters(asked: EmbeddingRequest) -> list[Parameter]:
    """What the request asks for that not every vendor's format can say."""
    wanted = {
        Parameter.DIMENSIONS: asked.dimensions is not None,
        Parameter.MANY_INPUTS: len(asked.inputs) > 1,
        Parameter.PRETOKENIZED: not isinstance(asked.inputs[0], str),
        Parameter.NATIVE: bool(asked.others),
    }
    return [parameter for parameter, is_asked in wanted.items() if is_asked]


def _estimate(text: str | tuple[int, ...]) -> int:
    return len(text) if isinstance(text, tuple) else -(-len(text.encode()) // BYTES_PER_TOKEN)


def _inputs(given: str | list[str | int | list[int]]) -> tuple[str | tuple[int, ...], ...]:
    listed: list[str | int | list[int]] = [given] if isinstance(given, str) else given
    kinds = set(map(type, listed))
    if len(kinds) > 1:
        raise Invalid("invalid_type", MIXED, "input")
    if kinds == {int}:
        listed = [cast(list[int], listed)]
    if len(listed) > MAX_INPUTS:
        reason = f"Invalid 'input': expected at most {MAX_INPUTS} texts, but got {len(listed)} instead."
        raise Invalid("array_above_max_length", reason, "input")
    if not listed or not all(listed):
        raise Invalid("invalid_value", EMPTY, "input")
    return tuple(each if isinstance(each, str) else tuple(cast(list[int], each)) for each in listed)
