"""Embedding bodies: what they ask for, what is said of one that cannot be served, and how vectors are written."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import CreateEmbeddingResponse

from allweather.contracts.embedding import Vectors
from allweather.contracts.slip import Capability, Dialect, Needs, Parameter, Usage
from allweather.dialects import asked
from allweather.dialects.invalid import Invalid
from allweather.dialects.openai_embeddings import reading, rendering

FLOATS = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=8)


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "documents", "input": "hello"} | fields).encode()


def needs(**fields: Any) -> Needs:
    return asked.read(Dialect.OPENAI_EMBEDDINGS, body(**fields)).needs


def test_a_text_asks_for_its_route_and_for_a_model_that_embeds():
    found = asked.read(Dialect.OPENAI_EMBEDDINGS, body())

    assert (found.route, found.stream, found.include_usage) == ("documents", False, False)
    assert found.needs == Needs(capabilities=(Capability.EMBEDDINGS,), input_tokens=2, longest_input_tokens=2)


@pytest.mark.parametrize(
    ("given_", "inputs"),
    [
        ("hello", ("hello",)),
        (["a", "b"], ("a", "b")),
        ([1, 2, 3], ((1, 2, 3),)),
        ([[1, 2], [3]], ((1, 2), (3,))),
    ],
)
def test_texts_and_tokens_come_alone_or_as_several(given_: Any, inputs: Any):
    assert reading.read(body(input=given_)).inputs == inputs


def test_each_input_has_the_window_to_itself_and_all_of_them_are_counted():
    found = needs(input=["a" * 300, "b" * 30, "c" * 3])

    assert (found.input_tokens, found.window_tokens) == (111, 100)


@pytest.mark.parametrize(
    ("fields", "parameter", "field"),
    [
        ({"dimensions": 256}, Parameter.DIMENSIONS, "dimensions"),
        ({"input": ["a", "b"]}, Parameter.MANY_INPUTS, "input"),
        ({"input": [7, 8]}, Parameter.PRETOKENIZED, "input"),
        ({"truncate": "END"}, Parameter.NATIVE, "truncate"),
    ],
)
def test_what_not_every_vendor_can_be_asked_is_a_need(fields: dict[str, Any], parameter: Parameter, field: str):
    assert needs(**fields).parameters == {parameter: field}


@pytest.mark.parametrize("fields", [{"encoding_format": "base64"}, {"user": "u1"}, {"dimensions": None}])
def test_what_every_vendor_can_do_is_no_need(fields: dict[str, Any]):
    assert needs(**fields).parameters == {}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": ["a", ""]}, "input"),
        ({"input": [[1], []]}, "input"),
        ({"input": ["a", 1]}, "input"),
        ({"input": ["a"] * 2049}, "input"),
        ({"input": None}, "input"),
        ({"dimensions": 0}, "dimensions"),
        ({"encoding_format": "int8"}, "encoding_format"),
        ({"model": ""}, "model"),
    ],
)
def test_a_fault_names_the_field(fields: dict[str, Any], param: str):
    with pytest.raises(Invalid) as caught:
        reading.read(body(**fields))

    assert caught.value.param == param


@given(st.lists(FLOATS, min_size=1, max_size=3))
def test_vectors_are_written_as_the_official_client_reads_them(values: list[list[float]]):
    vectors = Vectors("m", values, Usage(input_tokens=7))

    plain = CreateEmbeddingResponse.model_validate_json(rendering.render(vectors, "float"))
    packed = json.loads(rendering.render(vectors, "base64"))

    assert [each.embedding for each in plain.data] == values
    assert [list(rendering.unpacked(each["embedding"])) for each in packed["data"]] == values
    assert [each.index for each in plain.data] == list(range(len(values)))
    assert (plain.model, plain.usage.prompt_tokens) == ("m", 7)


@pytest.mark.parametrize("text", ["AAAA", "not base64!"])
def test_bytes_that_are_no_floats_are_told(text: str):
    with pytest.raises(ValueError, match=r"."):
        rendering.unpacked(text)
