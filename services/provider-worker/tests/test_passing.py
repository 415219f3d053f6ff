"""Answers on their way to the caller: the vendor's own words where it speaks the caller's dialect, else ours."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from allweather.contracts.answers import Answer, Choice, Event
from allweather.contracts.conversation import Finish, Text
from allweather.contracts.slip import Dialect, Usage
from allweather.dialects.registry import DIALECTS
from allweather.provider_worker.passing import Forwarded, Passing, Translated
from allweather.provider_worker.vendors import VENDORS
from allweather.provider_worker.wire import Format, ServerSentEvent

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
