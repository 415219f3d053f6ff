"""Responses bodies: what they say, and what is said of one that cannot be served."""

import json
from typing import Any

import pytest

from allweather.contracts.conversation import (
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
from allweather.contracts.slip import Dialect, Parameter
from allweather.dialects.asked import read as asked
from allweather.dialects.invalid import Invalid
from allweather.dialects.openai_responses.reading import read

CLAUDE = Reasoning("", "sig", Origin("anthropic.messages"))


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "triage", "input": "hello"} | fields).encode()


def test_keeping_a_response_is_the_doors_business():
    with pytest.raises(Invalid, match="POST /v1/responses") as refused:
        read(b'{"model": "triage", "input": "Hi", "store": true}')

    assert refused.value.param == "store"
    assert read(b'{"model": "triage", "input": "Hi", "store": false}').turns


def test_a_text_is_what_the_user_says():
    conversation = read(body(instructions="Sort."))

    assert conversation.instructions == (Text("Sort."),)
    assert conversation.turns == (Turn("user", (Text("hello"),)),)


def test_items_are_turns():
    items: list[dict[str, Any]] = [
        {"role": "developer", "content": "Sort."},
        {"role": "user", "content": [{"type": "input_text", "text": "hello"}]},
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "hm"}],
            "encrypted_content": "e",
        },
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "lookup", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "found"},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "yes", "annotations": []}],
        },
    ]
    conversation = read(body(input=items))

    assert conversation.instructions == (Text("Sort."),)
    assert conversation.turns == (
        Turn("user", (Text("hello"),)),
        Turn(
            "assistant",
            (Reasoning("hm", "e", Origin(Dialect.OPENAI_RESPONSES), "rs_1"), ToolCall("call_1", "lookup", "{}")),
        ),
        Turn("user", (ToolResult("call_1", (Text("found"),)),)),
        Turn("assistant", (Text("yes"),)),
    )


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (
            {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"},
            Image(data="AAAA", media_type="image/png", detail="low"),
        ),
        ({"type": "input_file", "file_url": "https://a.b/c.pdf"}, Document(url="https://a.b/c.pdf")),
    ],
)
def test_media_are_read(given: dict[str, Any], part: Part):
    assert read(body(input=[{"role": "user", "content": [given]}])).turns[0].parts == (part,)


def test_a_thought_of_another_vendor_comes_back_as_its_own():
    item: dict[str, Any] = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": seal(CLAUDE)}

    assert read(body(input=[{"role": "user", "content": "a"}, item])).turns[1].parts == (CLAUDE,)


def test_options_are_read():
    conversation = read(
        body(
            tools=[{"type": "function", "name": "lookup", "parameters": {"type": "object"}, "strict": False}],
            tool_choice={"type": "function", "name": "lookup"},
            text={"format": {"type": "json_schema", "name": "t", "schema": {"type": "object"}}, "verbosity": "low"},
            reasoning={"effort": "high", "summary": "auto"},
            max_output_tokens=64,
        )
    )

    assert conversation.tools == (Tool("lookup", "", {"type": "object"}, False),)
    assert conversation.tool_choice == ToolChoice("named", "lookup")
    assert conversation.format == JsonFormat({"type": "object"}, "t")
    assert conversation.thinking == Thinking("high", shown=True)
    assert (conversation.verbosity, conversation.max_output_tokens) == ("low", 64)


@pytest.mark.parametrize(
    ("fields", "parameter", "named"),
    [
        ({"previous_response_id": "resp_1"}, Parameter.NATIVE, "previous_response_id"),
        ({"include": ["web_search_call.results"]}, Parameter.NATIVE, "include"),
        ({"tools": [{"type": "web_search"}]}, Parameter.NATIVE, "native"),
        ({"truncation": "auto"}, Parameter.NATIVE, "truncation"),
        ({"include": ["message.output_text.logprobs"]}, Parameter.LOGPROBS, "top_logprobs"),
        ({"text": {"verbosity": "low"}}, Parameter.VERBOSITY, "text.verbosity"),
    ],
)
def test_what_not_every_vendor_can_say_is_named(fields: dict[str, Any], parameter: Parameter, named: str):
    assert asked(Dialect.OPENAI_RESPONSES, body(**fields)).needs.parameters[parameter] == named


@pytest.mark.parametrize(
    "fields", [{"background": True}, {"store": False}, {"include": ["reasoning.encrypted_content"]}]
)
def test_what_the_control_plane_does_itself_asks_nothing_of_a_vendor(fields: dict[str, Any]):
    assert asked(Dialect.OPENAI_RESPONSES, body(**fields)).needs.parameters == {}


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"input": []}, "missing_required_parameter", "input"),
        ({"input": [{"role": "robot", "content": "x"}]}, "unsupported_value", "input[0].role"),
        ({"input": [{"type": "function_call", "name": "a"}]}, "missing_required_parameter", "input[0].call_id"),
        (
            {"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]},
            "unsupported_value",
            "input[0].content[0].type",
        ),
        ({"text": {"format": {"type": "yaml"}}}, "unsupported_value", "text.format.type"),
        ({"max_output_tokens": 0}, "integer_below_min_value", "max_output_tokens"),
        (
            {"input": [{"type": "function_call_output", "call_id": "a", "output": 7}]},
            "invalid_type",
            "input[0].output",
        ),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], code: str, param: str):
    with pytest.raises(Invalid) as raised:
        read(body(**fields))

    assert (raised.value.code, raised.value.param) == (code, param)
