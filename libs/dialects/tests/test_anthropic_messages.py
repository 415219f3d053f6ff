"""Messages bodies: what they say, and what is said of one that cannot be served."""

import json
from typing import Any

import pytest

from allweather.contracts.conversation import (
    REDACTED,
    Document,
    Image,
    JsonFormat,
    Origin,
    Part,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
    seal,
)
from allweather.contracts.slip import Capability, Dialect, Parameter
from allweather.dialects.anthropic_messages.reading import read
from allweather.dialects.asked import read as asked
from allweather.dialects.invalid import Invalid

HELLO = {"role": "user", "content": "hello"}
CALL = {"type": "tool_use", "id": "t1", "name": "lookup", "input": {"a": 1}}
OWN = Origin(Dialect.ANTHROPIC_MESSAGES)
GEMINI = Reasoning("", "c2ln", Origin("google.gemini", "gemini-3"), "call_1")


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "triage", "max_tokens": 2048, "messages": [HELLO]} | fields).encode()


def block(**fields: Any) -> bytes:
    return body(messages=[{"role": "user", "content": [fields]}])


def test_a_conversation_with_tools_is_read():
    conversation = read(
        body(
            system=[{"type": "text", "text": "Sort.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
            tools=[{"name": "lookup", "description": "finds", "input_schema": {"type": "object"}, "strict": True}],
            tool_choice={"type": "tool", "name": "lookup", "disable_parallel_tool_use": True},
            messages=[
                HELLO,
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": "t1", "name": "lookup", "input": {"a": 1}}],
                },
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "t1", "content": "no", "is_error": True},
                        {"type": "text", "text": "well?"},
                    ],
                },
            ],
        )
    )

    assert conversation.instructions == (Text("Sort.", "1h"),)
    assert conversation.tools == (Tool("lookup", "finds", {"type": "object"}, True),)
    assert conversation.tool_choice == ToolChoice("named", "lookup")
    assert conversation.parallel_tools is False
    assert conversation.turns[1:] == (
        Turn("assistant", (ToolCall("t1", "lookup", '{"a": 1}'),)),
        Turn("user", (ToolResult("t1", (Text("no"),), is_error=True), Text("well?"))),
    )


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
            Image(data="AAAA", media_type="image/png"),
        ),
        ({"type": "image", "source": {"type": "url", "url": "https://a.b"}}, Image(url="https://a.b")),
        (
            {"type": "document", "title": "a", "source": {"type": "url", "url": "https://a.b"}},
            Document(url="https://a.b", name="a"),
        ),
        ({"type": "thinking", "thinking": "hm", "signature": "sig"}, Reasoning("hm", "sig", OWN)),
        ({"type": "redacted_thinking", "data": "xyz"}, Reasoning("", "xyz", OWN, REDACTED)),
        ({"type": "redacted_thinking", "data": seal(GEMINI)}, GEMINI),
        ({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, Text("a", "5m")),
    ],
)
def test_blocks_are_read(given: dict[str, Any], part: Part):
    assert read(block(**given)).turns[0].parts == (part,)


@pytest.mark.parametrize(
    ("fields", "thinking"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, Thinking("", 1024, True)),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, Thinking("", None, False)),
        ({"thinking": {"type": "disabled"}}, Thinking("none")),
        ({"output_config": {"effort": "low"}}, Thinking("low")),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, Thinking("max", None, True)),
        ({}, None),
    ],
)
def test_thinking_is_read(fields: dict[str, Any], thinking: Thinking | None):
    assert read(body(**fields)).thinking == thinking


def test_what_it_needs_is_told_in_its_own_names():
    schema = {"type": "object"}
    needs = asked(
        Dialect.ANTHROPIC_MESSAGES,
        body(
            stream=True,
            stop_sequences=["END"],
            top_k=5,
            output_config={"format": {"type": "json_schema", "schema": schema}},
        ),
    ).needs

    assert needs.capabilities == (Capability.STREAMING, Capability.JSON_SCHEMA)
    assert needs.parameters == {Parameter.STOP: "stop_sequences", Parameter.TOP_K: "top_k"}
    assert needs.output_tokens == 2048


def test_the_schema_of_the_answer_is_read():
    config = {"format": {"type": "json_schema", "schema": {"type": "object"}}}

    assert read(body(output_config=config)).format == JsonFormat({"type": "object"}, "answer", strict=True)


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"max_tokens": None}, "invalid_type", "max_tokens"),
        ({"max_tokens": 0}, "integer_below_min_value", "max_tokens"),
        ({"messages": []}, "empty_array", "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "unsupported_value", "messages[0].role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]},
            "missing_required_parameter",
            "messages[0].content[0].tool_use_id",
        ),
        ({"temperature": 1.5}, "decimal_out_of_range", "temperature"),
        ({"tools": [{"name": "a"}]}, "missing_required_parameter", "tools[0].input_schema"),
        ({"tool_choice": {"type": "tool"}}, "missing_required_parameter", "tool_choice.name"),
        ({"thinking": {"type": "enabled"}}, "missing_required_parameter", "thinking.budget_tokens"),
        ({"thinking": {"type": "enabled", "budget_tokens": 4096}}, "invalid_value", "thinking.budget_tokens"),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": 7}]}]},
            "invalid_type",
            "messages[0].content[0].content",
        ),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], code: str, param: str):
    with pytest.raises(Invalid) as raised:
        read(body(**fields))

    assert (raised.value.code, raised.value.param) == (code, param)
