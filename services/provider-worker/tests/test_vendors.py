"""Each translator against recorded exchanges: what is sent, what came back, what we make of it.

A vendor in `VENDORS` without recordings fails here.
"""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allweather.contracts.config import Configuration
from allweather.contracts.slip import Capability
from allweather.provider_worker.assembly import Assembler
from allweather.provider_worker.sse import EventParser
from allweather.provider_worker.vendors import VENDORS
from allweather.provider_worker.wire import (
    Answer,
    Chunk,
    Failed,
    Failure,
    HttpRequest,
    HttpResponse,
    Target,
    Translator,
)

RECORDINGS = Path(__file__).parent / "recordings"
ENDPOINTS = {
    "anthropic": "https://api.anthropic.com",
    "azure_openai": "https://care.openai.azure.com/",
    "open_source": "http://vllm.internal:8000/v1",
    "openai": "https://api.openai.com",
    "vertex": "https://aiplatform.googleapis.com",
}
NOW_MS = 1_795_000_001_000
Recording = dict[str, Any]

MEMBERS = (
    *("error", "type", "code", "details", "choices", "message", "content", "delta", "index", "finish_reason", "usage"),
    *("stop_reason", "text", "tool_calls", "function", "id", "candidates", "parts", "finishReason", "usageMetadata"),
    *("promptFeedback", "blockReason"),
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
ANY_JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=6),
    max_leaves=30,
)


def recordings() -> list[tuple[str, str]]:
    return [(vendor, path.stem) for vendor in VENDORS for path in sorted((RECORDINGS / vendor).glob("*.json"))]


def load_recording(vendor: str, name: str) -> Recording:
    return json.loads((RECORDINGS / vendor / f"{name}.json").read_text())


def target(configuration: Configuration, api: str) -> Target:
    """The first deployment of the vendor, as the catalogue has it."""
    deployment = next(d for d in configuration.deployments if configuration.vendor(d.vendor).api == api)
    return Target(deployment, ENDPOINTS[api], "care")


def body_of(response: Recording) -> bytes:
    if "stream" in response:
        newline: str = response.get("newline", "\n")
        return newline.join([*response["stream"], ""]).encode()
    return response["text"].encode() if "text" in response else json.dumps(response["body"]).encode()


def pieces(body: bytes, cuts: list[int]) -> Iterator[bytes]:
    edges = [0, *sorted(cuts), len(body)]
    return (body[start:end] for start, end in pairwise(edges))


def outcome(translator: Translator, response: Recording, cuts: list[int]) -> Answer | Failure:
    """What the response means, however its bytes are cut."""
    try:
        if "stream" not in response:
            return translator.answer(HttpResponse(response["status"], response["headers"], body_of(response), NOW_MS))
        return assembled(translator, response, cuts)
    except Failed as error:
        return error.failure


def assembled(translator: Translator, response: Recording, cuts: list[int]) -> Answer:
    parser, reader, assembler = EventParser(), translator.stream(NOW_MS), Assembler()
    for piece in pieces(body_of(response), cuts):
        for event in parser.feed(piece):
            for chunk in reader.read(event):
                assembler.add(chunk)
    if not assembler.finished and parser.stray:
        translator.answer(HttpResponse(200, response["headers"], bytes(parser.stray), NOW_MS))
    return assembler.answer()


def plain(answered: Answer) -> dict[str, Any]:
    """The parts of an answer that recordings speak about."""
    completion = json.loads(answered.rendered)
    assert completion["object"] == "chat.completion"
    message = completion["choices"][0].get("message", {})
    optional = {name: message[name] for name in ("refusal", "tool_calls", "reasoning") if message.get(name)}
    return {
        "content": message.get("content"),
        "finish_reason": answered.finish_reason,
        "served_model": answered.served_model,
        "refused": answered.refused,
        "usage": answered.usage and answered.usage.model_dump(),
        **optional,
    }


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_vendor_has_recordings(vendor: str) -> None:
    """Of answers, of streams and of failures."""
    found = [load_recording(vendor, path.stem) for path in (RECORDINGS / vendor).glob("*.json")]

    assert any("answer" in recording["expected"] for recording in found)
    assert any("stream" in recording.get("response", {}) for recording in found)
    assert any("failure" in recording["expected"] for recording in found)


@pytest.mark.parametrize(("vendor", "name"), recordings())
def test_request_is_what_the_vendor_expects(vendor: str, name: str, configuration: Configuration) -> None:
    recording = load_recording(vendor, name)

    sent = sent_for(VENDORS[vendor], recording, target(configuration, vendor))

    if isinstance(sent, Failure):
        assert "request" not in recording, sent
        assert_failure(sent, recording["expected"]["failure"])
    else:
        assert sent.url == recording["request"]["url"]
        assert dict(sent.headers) == recording["request"]["headers"]
        assert json.loads(sent.body) == recording["request"]["body"]


def sent_for(translator: Translator, recording: Recording, to: Target) -> HttpRequest | Failure:
    try:
        return translator.request(recording["body"], to, stream=recording["stream"])
    except Failed as error:
        return error.failure


@pytest.mark.parametrize(("vendor", "name"), recordings())
def test_response_means_what_was_recorded(vendor: str, name: str) -> None:
    recording = load_recording(vendor, name)
    if "response" not in recording:
        return  # refused before it was sent: the request's test says how

    found = outcome(VENDORS[vendor], recording["response"], [])

    if isinstance(found, Failure):
        assert_failure(found, recording["expected"].get("failure", {"kind": "an answer"}))
    else:
        assert plain(found) == recording["expected"]["answer"]


@pytest.mark.parametrize(
    ("vendor", "name"), [each for each in recordings() if "stream" in load_recording(*each).get("response", {})]
)
@given(data=st.data())
def test_stream_means_the_same_however_it_is_cut(vendor: str, name: str, data: st.DataObject) -> None:
    """Pieces of a body end anywhere: in an event, in a line end, in a character."""
    response = load_recording(vendor, name)["response"]
    cuts = data.draw(st.lists(st.integers(0, len(body_of(response))), max_size=12))

    assert outcome(VENDORS[vendor], response, cuts) == outcome(VENDORS[vendor], response, [])


@pytest.mark.parametrize("vendor", VENDORS)
def test_streamed_answer_equals_the_plain_one(vendor: str) -> None:
    """Put together, the recorded stream is the recorded plain answer in every part that both have."""
    stream = outcome(VENDORS[vendor], load_recording(vendor, "stream")["response"], [])
    whole = outcome(VENDORS[vendor], load_recording(vendor, "text")["response"], [])

    assert isinstance(stream, Answer)
    assert isinstance(whole, Answer)
    assert plain(stream) | {"reasoning": None} == plain(whole) | {"reasoning": None}


@pytest.mark.parametrize("vendor", VENDORS)
@given(body=ANY_JSON, status=st.sampled_from([200, 400, 401, 404, 429, 500, 529]))
def test_nonsense_is_a_failure_and_never_an_exception(vendor: str, body: Any, status: int) -> None:
    """Whatever JSON a vendor sends, plain or in a stream, reading it ends in an answer or in `Failed`."""
    text = json.dumps(body)

    outcome(VENDORS[vendor], {"status": status, "headers": {}, "text": text}, [])
    outcome(VENDORS[vendor], {"status": 200, "headers": {}, "stream": [f"data: {text}", "", f"data: {text}", ""]}, [])


def test_deployments_declare_what_their_translator_can_do(configuration: Configuration) -> None:
    """No deployment of the catalogue promises more, and nothing that a translator can do is left undeclared."""
    declared: dict[str, set[Capability]] = {}
    for deployment in configuration.deployments:
        api = configuration.vendor(deployment.vendor).api
        declared.setdefault(api, set()).update(deployment.capabilities)

    assert declared == {api: set(translator.capabilities) for api, translator in VENDORS.items()}


def test_client_written_chunks_have_the_dialects_shape() -> None:
    """What Anthropic and Vertex stream is rendered as chunks that name id, model and one choice."""
    for vendor in ("anthropic", "vertex"):
        parser, reader = EventParser(), VENDORS[vendor].stream(NOW_MS)
        response = load_recording(vendor, "stream")["response"]
        chunks: list[Chunk] = [c for event in parser.feed(body_of(response)) for c in reader.read(event)]

        assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
        assert all(chunk["object"] == "chat.completion.chunk" and chunk["id"] and chunk["model"] for chunk in chunks)
        assert [c["choices"][0]["finish_reason"] for c in chunks[:-1]] == [None, None, None, None, "stop"]
        assert chunks[-1]["choices"] == []
        assert chunks[-1]["usage"]["total_tokens"] == 30


def assert_failure(found: Failure, expected: dict[str, Any]) -> None:
    """Every part that the recording speaks about is as recorded."""
    given_parts = {"retry_after_ms": None} | expected
    assert {name: getattr(found, name) for name in given_parts} == given_parts
