"""Each translator against recorded exchanges: what is sent, what came back, what we make of it.

A vendor in `VENDORS` without recordings fails here.
"""

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from allweather.contracts.answers import Answer, Assembly, Unfinished
from allweather.contracts.config import Configuration
from allweather.contracts.conversation import Conversation
from allweather.contracts.failures import FailureKind
from allweather.contracts.slip import Capability, Dialect, Parameter
from allweather.dialects.invalid import Invalid
from allweather.dialects.registry import DIALECTS
from allweather.provider_worker.parameters import declared
from allweather.provider_worker.reading import cut_off
from allweather.provider_worker.settings import resolve
from allweather.provider_worker.sse import EventParser
from allweather.provider_worker.vendors import VENDORS
from allweather.provider_worker.wire import Failed, Failure, Format, HttpRequest, HttpResponse, Target, Translator

RECORDINGS = Path(__file__).parent / "recordings"
ENDPOINTS = {"azure_openai": "https://care.openai.azure.com/", "open_source": "http://vllm.internal:8000/v1"}
"""Of vendors whose address is the operator's own; that of all others is in the catalogue."""
NOW_MS = 1_795_000_001_000
Recording = dict[str, Any]

OF_PARAMETERS = {
    *("choices", "format", "frequency_penalty", "logit_bias", "logprobs", "presence_penalty", "temperature"),
    *("top_k", "top_p", "verbosity"),
}
"""Fields of a conversation of which parameters speak, one or more."""

MEMBERS = (
    *("error", "type", "code", "details", "choices", "message", "content", "delta", "index", "finish_reason", "usage"),
    *("stop_reason", "text", "tool_calls", "function", "id", "candidates", "parts", "finishReason", "usageMetadata"),
    *("promptFeedback", "blockReason", "type", "content_block", "message", "response", "output", "item", "status"),
    *("functionCall", "thoughtSignature", "reasoning", "logprobs", "signature", "thinking", "encrypted_content"),
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


def target(configuration: Configuration, wanted: str) -> Target:
    """The deployment of that id, or the first one of that vendor, as the catalogue has it."""
    apis = {d.id: configuration.vendor(d.vendor).api for d in configuration.deployments}
    deployment = next(d for d in configuration.deployments if wanted in (d.id, apis[d.id]))
    return Target(deployment, ENDPOINTS.get(apis[deployment.id]) or resolve(deployment.endpoint, {}), "care")


def body_of(response: Recording) -> bytes:
    if "stream" in response:
        newline: str = response.get("newline", "\n")
        return newline.join([*response["stream"], ""]).encode()
    return response["text"].encode() if "text" in response else json.dumps(response["body"]).encode()


def pieces(body: bytes, cuts: list[int]) -> Iterator[bytes]:
    edges = [0, *sorted(cuts), len(body)]
    return (body[start:end] for start, end in pairwise(edges))


def dialect_of(recording: Recording) -> Dialect:
    """What the caller of a recording speaks."""
    return Dialect(recording.get("dialect", Dialect.OPENAI_CHAT))


def format_of(vendor: str, recording: Recording) -> Format:
    """The form in which the vendor answers a caller of the recording's dialect."""
    return VENDORS[vendor].natives.get(dialect_of(recording)) or VENDORS[vendor]


def outcome(spoken: Format, response: Recording, cuts: list[int]) -> Answer | Failure:
    """What the response means, however its bytes are cut."""
    try:
        if "stream" not in response:
            return spoken.answer(HttpResponse(response["status"], response["headers"], body_of(response), NOW_MS))
        return assembled(spoken, response, cuts)
    except Failed as error:
        return error.failure


def assembled(spoken: Format, response: Recording, cuts: list[int]) -> Answer:
    parser, reader, assembly = EventParser(), spoken.stream(NOW_MS), Assembly()
    for piece in pieces(body_of(response), cuts):
        for event in parser.feed(piece):
            for said in reader.read(event):
                assembly.add(said)
    if not assembly.finished and parser.stray:
        spoken.answer(HttpResponse(200, response["headers"], bytes(parser.stray), NOW_MS))
    try:
        return assembly.answer()
    except Unfinished:
        raise cut_off() from None


def plain(answer: Answer) -> dict[str, Any]:
    """The parts of an answer that recordings speak about."""
    completion = json.loads(DIALECTS[Dialect.OPENAI_CHAT].render(answer, b"{}"))
    message = completion["choices"][0]["message"]
    names = ("refusal", "tool_calls", "reasoning")
    return {
        "content": message.get("content"),
        "finish_reason": answer.finish,
        "served_model": answer.model or None,
        "refused": answer.finish.is_refusal,
        "usage": answer.usage and structs.asdict(answer.usage),
        **{name: message[name] for name in names if message.get(name)},
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

    sent = sent_for(VENDORS[vendor], recording, target(configuration, recording.get("deployment", vendor)))

    if isinstance(sent, Failure):
        assert "request" not in recording, sent
        assert_failure(sent, recording["expected"]["failure"])
    else:
        assert sent.url == recording["request"]["url"]
        assert dict(sent.headers) == recording["request"]["headers"]
        assert json.loads(sent.body) == recording["request"]["body"]


def sent_for(translator: Translator, recording: Recording, to: Target) -> HttpRequest | Failure:
    """The request as the worker makes it: forwarded where the vendor speaks the dialect, else translated."""
    body, stream = json.dumps(recording["body"]).encode(), recording["stream"]
    native = translator.natives.get(dialect_of(recording))
    if native is not None:
        return native.forward(body, to, stream=stream)
    try:
        conversation = DIALECTS[dialect_of(recording)].read(body)
    except Invalid as fault:
        return Failure(FailureKind.INVALID, fault.reason, fault.code)
    lacking = translator.unsupported(conversation, to.deployment)
    if lacking is not None:
        return Failure(FailureKind.UNSUPPORTED, lacking)
    return translator.request(conversation, to, stream=stream)


@pytest.mark.parametrize(("vendor", "name"), recordings())
def test_response_means_what_was_recorded(vendor: str, name: str) -> None:
    recording = load_recording(vendor, name)
    if "response" not in recording:
        return  # refused before it was sent: the request's test says how

    found = outcome(format_of(vendor, recording), recording["response"], [])

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
    recording = load_recording(vendor, name)
    response, spoken = recording["response"], format_of(vendor, recording)
    cuts = data.draw(st.lists(st.integers(0, len(body_of(response))), max_size=12))

    assert outcome(spoken, response, cuts) == outcome(spoken, response, [])


@pytest.mark.parametrize(
    ("vendor", "name"), [each for each in recordings() if "stream" in load_recording(*each).get("response", {})]
)
@given(data=st.data())
def test_unknown_events_and_signs_of_life_say_nothing(vendor: str, name: str, data: st.DataObject) -> None:
    """Vendors add events without notice, and proxies keep connections alive."""
    recording = load_recording(vendor, name)
    response, spoken = recording["response"], format_of(vendor, recording)
    lines: list[str] = response["stream"]
    gaps = [0, *(place + 1 for place, line in enumerate(lines) if not line)]
    at = data.draw(st.sampled_from(gaps))
    strange = ["event: novel", 'data: {"type":"novel","new":[1]}', "", ": keep-alive", ""]

    changed = response | {"stream": [*lines[:at], *strange, *lines[at:]]}

    assert outcome(spoken, changed, []) == outcome(spoken, response, [])


def streamed_and_whole() -> list[tuple[str, str, str]]:
    """Recordings of the same answer, once as a stream and once as a whole."""
    known = {each for each in recordings() if "answer" in load_recording(*each)["expected"]}
    whole = {(v, name): "text" if name == "stream" else re.sub("stream_|_stream", "", name) for v, name in known}
    return sorted((v, name, other) for (v, name), other in whole.items() if name != other and (v, other) in known)


@pytest.mark.parametrize(("vendor", "stream", "whole"), streamed_and_whole())
def test_streamed_answer_equals_the_plain_one(vendor: str, stream: str, whole: str) -> None:
    """Put together, the recorded stream is the recorded plain answer, part by part."""
    answers = [
        outcome(format_of(vendor, recording), recording["response"], [])
        for recording in (load_recording(vendor, stream), load_recording(vendor, whole))
    ]

    assert answers[0] == answers[1]


@pytest.mark.parametrize("vendor", VENDORS)
@given(body=ANY_JSON, status=st.sampled_from([200, 400, 401, 404, 429, 500, 529]))
def test_nonsense_is_a_failure_and_never_an_exception(vendor: str, body: Any, status: int) -> None:
    """Whatever JSON a vendor sends, plain or in a stream, reading it ends in an answer or in `Failed`."""
    text = json.dumps(body)
    stream = [f"data: {text}", "", f"data: {text}", ""]

    for spoken in (VENDORS[vendor], *VENDORS[vendor].natives.values()):
        outcome(spoken, {"status": status, "headers": {}, "text": text}, [])
        outcome(spoken, {"status": 200, "headers": {}, "stream": stream}, [])


def test_deployments_declare_what_their_translator_can_do(configuration: Configuration) -> None:
    """No deployment of the catalogue promises more, and nothing that a translator can do is left undeclared."""
    declared: dict[str, set[Capability]] = {}
    for deployment in configuration.deployments:
        api = configuration.vendor(deployment.vendor).api
        declared.setdefault(api, set()).update(deployment.capabilities)

    assert declared == {api: set(translator.capabilities) for api, translator in VENDORS.items()}


def test_vendors_declare_what_their_translator_can_say(configuration: Configuration) -> None:
    """The router judges by the catalogue, so it has to be what the worker does."""
    for vendor in configuration.vendors:
        translator = VENDORS[vendor.api]

        embeds = translator.embedder is not None and translator.embedder.passes_on
        vectors = {Dialect.OPENAI_EMBEDDINGS} if embeds else set[Dialect]()
        assert set(vendor.dialects) == {*translator.natives, *vectors}
        assert frozenset(vendor.parameters or ()) == declared(translator.parameters)


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_part_of_a_conversation_has_a_row(vendor: str) -> None:
    """Nothing that a conversation can hold is lost unsaid."""
    fields = set(Conversation.__struct_fields__) - OF_PARAMETERS

    assert sorted({*fields, *Parameter} - set(VENDORS[vendor].parameters)) == []


def assert_failure(found: Failure, expected: dict[str, Any]) -> None:
    """Every part that the recording speaks about is as recorded."""
    given_parts = {"retry_after_ms": None} | expected
    assert {name: getattr(found, name) for name in given_parts} == given_parts
