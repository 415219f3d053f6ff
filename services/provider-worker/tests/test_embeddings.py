"""Vectors of every vendor that makes them: recorded exchanges, nonsense, and the simulators."""

import json
from math import hypot
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from allweather.contracts.config import Configuration
from allweather.contracts.embedding import EmbeddingRequest, Vectors
from allweather.contracts.failures import FailureKind
from allweather.contracts.slip import Dialect, Parameter
from allweather.dialects.openai_embeddings import reading, rendering
from allweather.provider_worker.settings import resolve
from allweather.provider_worker.testing import Bench, dispatch_record
from allweather.provider_worker.vendors import VENDORS
from allweather.provider_worker.wire import Answered, Embedder, Failed, HttpResponse, Target

RECORDINGS = Path(__file__).parent / "recordings"
ENDPOINTS = {"azure_openai": "https://care.openai.azure.com/", "open_source": "http://vllm.internal:8000/v1"}
"""Of vendors whose address is the operator's own; that of all others is in the catalogue."""
EMBEDDERS = {name: vendor.embedder for name, vendor in VENDORS.items() if vendor.embedder is not None}
Recording = dict[str, Any]
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["data", "embedding", "predictions", "embeddings", "values", "error"]), inner)
    ),
    max_leaves=12,
)


def recordings() -> list[tuple[str, str]]:
    return [(v, path.stem) for v in EMBEDDERS for path in sorted((RECORDINGS / v / "embeddings").glob("*.json"))]


def load(vendor: str, name: str) -> Recording:
    return json.loads((RECORDINGS / vendor / "embeddings" / f"{name}.json").read_text())


def embedder(vendor: str) -> Embedder:
    return EMBEDDERS[vendor]


def asked(recording: Recording) -> EmbeddingRequest:
    return reading.read(json.dumps(recording["body"]).encode())


def target(configuration: Configuration, vendor: str, deployment: str) -> Target:
    to = configuration.deployment(deployment)
    return Target(to, ENDPOINTS.get(vendor) or resolve(to.endpoint, {}), "care")


def outcome(vendor: str, recording: Recording, to: Target) -> Answered[Vectors] | FailureKind:
    response = recording["response"]
    raw = json.dumps(response["body"]).encode()
    try:
        return embedder(vendor).answer(asked(recording), to, HttpResponse(response["status"], response["headers"], raw))
    except Failed as error:
        return error.failure.kind


def test_every_vendor_that_embeds_has_recordings() -> None:
    assert {vendor for vendor, _ in recordings()} == set(EMBEDDERS)


@pytest.mark.parametrize(("vendor", "name"), recordings())
def test_a_request_is_sent_as_recorded(configuration: Configuration, vendor: str, name: str) -> None:
    recording = load(vendor, name)
    to, body = target(configuration, vendor, recording["deployment"]), json.dumps(recording["body"]).encode()

    assert embedder(vendor).unsupported(asked(recording), to.deployment) is None
    sent = embedder(vendor).request(asked(recording), body, to)

    assert sent.url == recording["request"]["url"]
    assert json.loads(sent.body) == recording["request"]["body"]


@pytest.mark.parametrize(("vendor", "name"), recordings())
def test_an_answer_is_read_as_recorded(configuration: Configuration, vendor: str, name: str) -> None:
    recording = load(vendor, name)
    expected = recording["expected"]

    found = outcome(vendor, recording, target(configuration, vendor, recording["deployment"]))

    if "failure" in expected:
        assert found == expected["failure"]
        return
    assert isinstance(found, Answered)
    assert found.answer.model == expected["served_model"]
    assert found.answer.usage is not None
    assert structs.asdict(found.answer.usage) == expected["usage"]
    assert json.loads(found.rendered) == expected.get("answer", recording["response"]["body"])
    if expected.get("passed_on"):
        assert found.rendered == json.dumps(recording["response"]["body"]).encode()


@pytest.mark.parametrize("vendor", EMBEDDERS)
@given(body=ANY_JSON, status=st.sampled_from([200, 400, 429, 500]))
def test_nonsense_is_a_failure(configuration: Configuration, vendor: str, body: Any, status: int) -> None:
    deployment = next(d.id for d in configuration.deployments if d.embeds and d.vendor.replace("-", "_") == vendor)
    response = Recording(status=status, headers={}, body=body)
    recording = Recording(body={"model": "m", "input": "a"}, response=response)

    found = outcome(vendor, recording, target(configuration, vendor, deployment))

    assert isinstance(found, Answered | FailureKind)


@pytest.mark.parametrize(
    ("deployment", "fields", "lacking"),
    [
        ("vertex/gemini-embedding-001", {"input": [1, 2]}, Parameter.PRETOKENIZED),
        ("vertex/gemini-embedding-001", {"truncate": "END"}, Parameter.NATIVE),
        ("vertex/gemini-embedding-2", {"input": ["a", "b"]}, Parameter.MANY_INPUTS),
        ("open-source/bge-m3", {"dimensions": 8}, Parameter.DIMENSIONS),
        ("open-source/bge-m3", {"truncate": "END"}, None),
        ("openai/text-embedding-3-large", {"input": [1, 2], "dimensions": 8}, None),
    ],
)
def test_what_a_deployment_cannot_be_asked_is_known_before_the_call(
    configuration: Configuration, deployment: str, fields: dict[str, Any], lacking: str | None
) -> None:
    to = configuration.deployment(deployment)
    wish = asked({"body": {"model": "documents", "input": "a"} | fields})

    assert embedder(to.vendor.replace("-", "_")).unsupported(wish, to) == lacking


@pytest.mark.parametrize("encoding", ["float", "base64"])
@pytest.mark.parametrize(
    "deployment",
    [
        "openai/text-embedding-3-large",
        "azure-openai/text-embedding-3-large/swedencentral",
        "vertex/gemini-embedding-001",
        "open-source/bge-m3",
    ],
)
async def test_a_worker_brings_a_vector_for_each_text(bench: Bench, deployment: str, encoding: str) -> None:
    texts = ["My machine leaks.", "The machine leaks.", "Quarterly figures"]
    body = {"model": "documents", "input": texts, "encoding_format": encoding}
    record = dispatch_record(deployment, body, dialect=Dialect.OPENAI_EMBEDDINGS, route="documents")

    result, answer = await bench.worker(deployment.partition("/")[0]).attempt(record)

    assert result.failure is None
    assert result.usage is not None
    assert result.usage.input_tokens > 0
    assert answer is not None
    given_ = [each["embedding"] for each in answer["data"]]
    leak, same, other = given_ if encoding == "float" else map(rendering.unpacked, given_)
    assert hypot(*leak) == pytest.approx(1, abs=1e-3)
    assert _closeness(leak, same) > _closeness(leak, other)


def _closeness(one: Any, other: Any) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


async def test_what_cannot_be_asked_is_the_next_candidates(bench: Bench) -> None:
    body = {"model": "documents", "input": ["a", "b"]}
    record = dispatch_record("vertex/gemini-embedding-2", body, dialect=Dialect.OPENAI_EMBEDDINGS)

    result, _ = await bench.worker("vertex").attempt(record)

    assert (result.failure, result.http_status) == (FailureKind.UNSUPPORTED, None)


async def test_a_vendor_without_embeddings_is_never_asked_for_them(bench: Bench) -> None:
    body = {"model": "documents", "input": "a"}
    record = dispatch_record("anthropic/claude-haiku-4-5", body, dialect=Dialect.OPENAI_EMBEDDINGS)

    result, _ = await bench.worker("anthropic").attempt(record)

    assert (result.failure, result.http_status) == (FailureKind.UNSUPPORTED, None)
