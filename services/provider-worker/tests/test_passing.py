"""Answers on their way to the caller: the vendor's own words where it speaks the caller's dialect, else ours."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allweather.contracts.answers import Answer, Choice, Event
from allweather.contracts.config import Configuration, Deployment
from allweather.contracts.conversation import Finish, Origin, Text
from allweather.contracts.slip import ApiHeaders, Dialect, Usage
from allweather.dialects.registry import DIALECTS
from allweather.provider_worker import responses_wire
from allweather.provider_worker.asking import ask
from allweather.provider_worker.passing import Forwarded, Passing, Translated
from allweather.provider_worker.vendors import VENDORS
from allweather.provider_worker.wire import Format, ServerSentEvent, Target

RAW = msgspec.json.Decoder(dict[str, msgspec.Raw])
CHUNK = '{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"It"}}],"new":1'
END = '{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]'
COUNTS = '{"id":"c","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}'
EVENTS = [
    '{"type":"message_start","message":{"id":"m","content":[],"usage":{"input_tokens":1},"new":true}}  ',
    '{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}',
    '{"type":"ping"}',
    '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"It"}}',
    '{"type":"content_block_stop","index":0}',
    '{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}',
    '{"type":"message_stop"}',
]


def passed(passing: Passing, spoken: Format, payloads: Sequence[str]) -> list[str]:
    """What the caller of a stream is sent when the vendor sends these."""
    reader, shown = spoken.stream(0), list[str]()
    for payload in payloads:
        event = ServerSentEvent(payload)
        said: Sequence[Event] = reader.read(event)
        shown += [] if reader.aside else passing.pieces(event, said)
    return [*shown, *passing.end()]


def test_a_vendor_who_speaks_messages_is_passed_on_byte_for_byte() -> None:
    """All but pings, and the blanks with which the lines are padded."""
    native = VENDORS["anthropic"].natives[Dialect.ANTHROPIC_MESSAGES]
    passing = Forwarded(Dialect.ANTHROPIC_MESSAGES, b"{}", include_usage=True)

    assert passed(passing, native, EVENTS) == [each.rstrip() for each in EVENTS if "ping" not in each]
    whole = json.loads(passing.whole(Answer("", "", ()), None))
    assert whole["content"] == [{"type": "text", "text": "It"}]
    assert whole["new"] is True


@pytest.mark.parametrize(
    ("api", "heard"),
    [
        (None, {"anthropic-version": "2023-06-01"}),
        (ApiHeaders(version="2026-10-21"), {"anthropic-version": "2026-10-21"}),
        (ApiHeaders(betas="context-1m-2025-08-07"), {"anthropic-beta": "context-1m-2025-08-07"}),
    ],
)
def test_a_vendor_of_the_callers_api_hears_its_version_and_betas(
    configuration: Configuration, api: ApiHeaders | None, heard: dict[str, str]
) -> None:
    body = b'{"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}'
    claude = Target(configuration.deployment("anthropic/claude-haiku-4-5"), "http://vendor")
    gpt = Target(configuration.deployment("openai/gpt-5.2"), "http://vendor")
    options: Any = {"stream": False, "include_usage": True, "api": api}

    sent = ask(VENDORS["anthropic"], claude, Dialect.ANTHROPIC_MESSAGES, body, **options).request
    elsewhere = ask(VENDORS["openai"], gpt, Dialect.ANTHROPIC_MESSAGES, body, **options).request

    assert sent.headers == {"anthropic-version": "2023-06-01"} | heard
    assert elsewhere.headers == {}


@pytest.mark.parametrize("asked", [True, False])
def test_a_chat_stream_shows_counts_to_those_who_asked(asked: bool) -> None:
    """We always ask the vendor: the others are shown the chunks as they had been without."""
    passing = Forwarded(Dialect.OPENAI_CHAT, b"{}", include_usage=asked)
    payloads = [f'{CHUNK},"usage":null}}', f'{END},"usage":null}}', COUNTS, "[DONE]"]

    shown = passed(passing, VENDORS["openai"].natives[Dialect.OPENAI_CHAT], payloads)

    assert shown == (payloads[:-1] if asked else [CHUNK + "}", END + "}"])
    assert json.loads(passing.whole(Answer("", "", ()), None))["usage"]["completion_tokens"] == 2


def test_payloads_go_out_on_one_line() -> None:
    passing = Forwarded(Dialect.OPENAI_CHAT, b"{}", include_usage=True)
    pretty = json.dumps(json.loads(f"{CHUNK}}}"), indent=1)

    assert passed(passing, VENDORS["openai"], [pretty]) == [f"{CHUNK}}}"]


def test_an_answer_that_came_whole_is_passed_on_as_it_is() -> None:
    answer = Answer("a", "m", (Choice((Text("yes"),), Finish.STOP),), Usage(input_tokens=1))
    body = b'{"id":"a", "new": 1}'

    assert Forwarded(Dialect.OPENAI_CHAT, b"{}", include_usage=False).whole(answer, body) == body


def test_azure_filter_results_stay_between_the_vendor_and_us() -> None:
    """A first chunk without choices makes clients fail that look into the first choice."""
    empty = '{"id":"","choices":[],"prompt_filter_results":[]}'
    late = '{"id":"c","choices":[{"index":0,"content_filter_offsets":{}}]}'
    passing = Forwarded(Dialect.OPENAI_CHAT, b"{}", include_usage=True)

    shown = passed(
        passing, VENDORS["azure_openai"].natives[Dialect.OPENAI_CHAT], [empty, f"{CHUNK}}}", f"{END}}}", late]
    )

    assert shown == [f"{CHUNK}}}", f"{END}}}"]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_vendor_of_another_dialect_is_translated(dialect: Dialect) -> None:
    request = b'{"model":"triage","input":"hello"}'
    passing = Translated(dialect, request, include_usage=True)
    gemini = (
        '{"responseId":"r","modelVersion":"gemini-3.5-flash","candidates":[{"content":{"parts":[{"text":"It"}]},'
        '"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":2}}'
    )

    shown: list[dict[str, Any]] = [json.loads(each) for each in passed(passing, VENDORS["vertex"], [gemini])]

    last = {"openai.chat": "usage", "openai.responses": "response", "anthropic.messages": "type"}[dialect]
    assert last in shown[-1]
    assert any('"It"' in json.dumps(each) for each in shown)


ENCODINGS: Sequence[Callable[[Any], str]] = (
    json.dumps,
    lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")),
    lambda value: json.dumps(value, indent=1).replace("/", "\\/"),
)
"""JSON as callers write it: escaped, as short as can be, on many lines and with escapes that nobody needs."""
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
CHANGED = {
    Dialect.OPENAI_CHAT: {"model", "stream", "stream_options", "max_tokens"},
    Dialect.OPENAI_RESPONSES: {"model", "stream", "background", "background_options", "store"},
    Dialect.ANTHROPIC_MESSAGES: {"model", "stream"},
}
"""Fields that are not the caller's own any more."""
SPOKEN = [(vendor, dialect) for vendor, translator in VENDORS.items() for dialect in translator.natives]


@pytest.mark.parametrize(("vendor", "dialect"), SPOKEN)
@given(data=st.data())
def test_a_body_goes_out_in_the_callers_own_bytes(
    configuration: Configuration, vendor: str, dialect: Dialect, data: st.DataObject
) -> None:
    """Every value but those of the fields that the vendor has to be told otherwise."""
    write = data.draw(st.sampled_from(ENCODINGS))
    given_fields: dict[str, Any] = data.draw(st.dictionaries(st.text(max_size=8), VALUES, max_size=4))
    talk = [{"role": "user", "content": data.draw(st.text() | st.sampled_from(['the "reasoning" behind it', "aw1."]))}]
    body = write(
        given_fields | {"model": "triage", "messages": talk, "input": talk, "reasoning_effort": "low"}
    ).encode()
    deployment = next(d for d in configuration.deployments if configuration.vendor(d.vendor).api == vendor)

    sent = VENDORS[vendor].natives[dialect].forward(body, Target(deployment, "http://vendor"), stream=False).body

    before, after = RAW.decode(body), RAW.decode(sent)
    kept = set(before) - CHANGED[dialect]
    assert {name: bytes(after[name]) for name in kept} == {name: bytes(before[name]) for name in kept}
    assert set(after) - kept <= CHANGED[dialect] | {"max_completion_tokens"}


@pytest.mark.parametrize("spoken", ["aw1.", "aw1.e30=", ["aw1."], [{"role": "user", "content": "aw1."}]])
def test_words_that_look_like_a_sealed_thought_are_passed_on(configuration: Configuration, spoken: Any) -> None:
    body = json.dumps({"model": "triage", "input": spoken}).encode()
    deployment = next(d for d in configuration.deployments if configuration.vendor(d.vendor).api == "openai")
    native = VENDORS["openai"].natives[Dialect.OPENAI_RESPONSES]

    sent = native.forward(body, Target(deployment, "http://vendor"), stream=False).body

    assert bytes(RAW.decode(sent)["input"]) == json.dumps(spoken).encode()


@pytest.mark.parametrize("dialect", DIALECTS)
@given(body=VALUES, write=st.sampled_from(ENCODINGS))
def test_an_answer_comes_back_in_the_vendors_own_bytes(
    dialect: Dialect, body: Any, write: Callable[[Any], str]
) -> None:
    answered = write({"id": "a", "new": body, "output": [body], "content": [body]}).encode()
    passing = Forwarded(dialect, b"{}", include_usage=True, origin=Origin(dialect, "here"))

    assert passing.whole(Answer("a", "m", ()), answered) == answered


def test_encrypted_reasoning_comes_back_to_who_made_it_and_to_nobody_else(configuration: Configuration) -> None:
    """Azure's regions cannot read each other's; what was never sealed is passed on as it is."""
    here, there = (configuration.deployment(f"azure-openai/gpt-5.2/{region}") for region in ("uksouth", "eastus2"))
    thought: dict[str, Any] = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"}
    origin = responses_wire.origin(Target(here, ""))
    passing = Forwarded(Dialect.OPENAI_RESPONSES, b"{}", include_usage=True, origin=origin)
    answered = json.loads(passing.whole(Answer("a", "m", ()), json.dumps({"output": [thought]}).encode()))
    (sealed,) = answered["output"]

    def told(deployment: Deployment, item: dict[str, Any]) -> list[dict[str, Any]]:
        native = VENDORS["azure_openai"].natives[Dialect.OPENAI_RESPONSES]
        body = json.dumps({"model": "triage", "input": [item]}).encode()
        return json.loads(native.forward(body, Target(deployment, "http://a"), stream=False).body)["input"]

    assert sealed["encrypted_content"] != "gAAAA"
    assert told(here, sealed) == [thought]
    assert told(there, sealed) == []
    assert told(there, thought) == [thought]
