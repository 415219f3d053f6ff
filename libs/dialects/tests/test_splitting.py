"""Whole answers as streams: what is put together again is what was split."""

import json
from typing import Any

import pytest

from allweather.contracts.slip import Dialect
from allweather.dialects.registry import DIALECTS

CHAT: dict[str, Any] = {
    "id": "chatcmpl-1",
    "created": 1,
    "model": "m",
    "object": "chat.completion",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "abc",
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}],
            },
            "finish_reason": "tool_calls",
        },
        {"index": 1, "message": {"role": "assistant", "content": None, "refusal": "No."}, "finish_reason": "stop"},
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4},
}
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": "s"},
        {"type": "redacted_thinking", "data": "x"},
        {"type": "text", "text": "abc"},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
    ],
    "stop_reason": "refusal",
    "stop_sequence": None,
    "stop_details": {"type": "refusal", "category": "cyber", "explanation": "No."},
    "usage": {"input_tokens": 1, "output_tokens": 3},
}
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "model": "m",
    "output": [
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "abc", "annotations": [], "logprobs": []}],
        },
        {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}", "status": "completed"},
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
    ],
    "usage": {"input_tokens": 1, "output_tokens": 3, "total_tokens": 4},
    "error": None,
    "incomplete_details": None,
}
WHOLE = {
    Dialect.OPENAI_CHAT: CHAT,
    Dialect.OPENAI_RESPONSES: RESPONSE,
    Dialect.ANTHROPIC_MESSAGES: MESSAGE,
}


def split(dialect: Dialect, whole: dict[str, Any], *, include_usage: bool = True) -> list[dict[str, Any]]:
    return [json.loads(p) for p in DIALECTS[dialect].split(json.dumps(whole).encode(), include_usage)]


@pytest.mark.parametrize("dialect", list(DIALECTS))
def test_a_split_answer_is_joined_again(dialect: Dialect):
    joining = DIALECTS[dialect].join()
    for payload in split(dialect, WHOLE[dialect]):
        joining.add(json.dumps(payload, separators=(",", ":")))

    joined = json.loads(joining.whole())
    assert {name: joined.get(name) for name in WHOLE[dialect] if name not in ("choices", "usage")} == {
        name: value for name, value in WHOLE[dialect].items() if name not in ("choices", "usage")
    }
    assert WHOLE[dialect]["usage"].items() <= joined["usage"].items()
    for was, found in zip(WHOLE[dialect].get("choices", []), joined.get("choices", []), strict=True):
        assert found["finish_reason"] == was["finish_reason"]
        assert {name: found["message"].get(name) for name in was["message"]} == was["message"]


def test_the_counts_of_a_completion_are_told_only_if_they_were_asked_for():
    chunks = split(Dialect.OPENAI_CHAT, CHAT, include_usage=False)

    assert not any("usage" in chunk for chunk in chunks)


def test_the_events_of_a_response_are_in_openais_order_and_numbered():
    events = split(Dialect.OPENAI_RESPONSES, RESPONSE)

    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"].removeprefix("response.") for event in events] == [
        *("created", "in_progress"),
        *("output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta"),
        *("reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done"),
        *("output_item.added", "content_part.added", "output_text.delta", "output_text.done"),
        *("content_part.done", "output_item.done"),
        *("output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done"),
        *("output_item.added", "output_item.done"),
        "completed",
    ]
    assert events[0]["response"]["output"] == []
    assert events[-1]["response"] == RESPONSE
