"""Chat bodies: what they ask for, and what is said of one that cannot be served."""

import json
from contextlib import suppress
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allweather.contracts.conversation import (
    Document,
    Image,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from allweather.contracts.slip import Capability, Dialect, Parameter
from allweather.dialects.asked import Asked
from allweather.dialects.asked import read as read_asked
from allweather.dialects.invalid import Invalid
from allweather.dialects.json_body import MAX_DEPTH, depth
from allweather.dialects.needs import IMAGE_TOKENS
from allweather.dialects.openai_chat.reading import read as read_conversation

HELLO = {"role": "user", "content": "hello"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "lookup", "arguments": '{"order":7}'}}


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "triage", "messages": [HELLO]} | fields).encode()


def read(raw: bytes) -> Asked:
    return read_asked(Dialect.OPENAI_CHAT, raw)


def test_a_plain_body_asks_for_its_route_and_nothing_more():
    asked = read(body())

    assert (asked.route, asked.stream, asked.include_usage) == ("triage", False, False)
    assert asked.needs.capabilities == ()
    assert asked.needs.input_tokens == -(-len(body()) // 3)
    assert asked.needs.output_tokens is None


@pytest.mark.parametrize(
    ("fields", "capability"),
    [
        ({"stream": True}, Capability.STREAMING),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, Capability.TOOLS),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "t"}}}, Capability.JSON_SCHEMA),
        ({"reasoning_effort": "high"}, Capability.REASONING),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}]}
                ]
            },
            Capability.VISION,
        ),
    ],
)
def test_capabilities_follow_from_the_body(fields: dict[str, Any], capability: Capability):
    assert read(body(**fields)).needs.capabilities == (capability,)


@pytest.mark.parametrize("fields", [{"reasoning_effort": "none"}, {"tools": []}, {"stream": False}, {"n": 1}])
def test_fields_at_their_defaults_ask_for_nothing(fields: dict[str, Any]):
    assert read(body(**fields)).needs.capabilities == ()


def test_usage_and_the_token_limit_are_read():
    asked = read(body(stream=True, stream_options={"include_usage": True}, max_completion_tokens=99))

    assert asked.include_usage
    assert asked.needs.output_tokens == 99


def test_an_image_counts_as_a_fixed_number_of_tokens_whatever_its_bytes():
    url = "data:image/png;base64," + "A" * 300_000
    asked = read(body(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]))

    assert IMAGE_TOKENS <= asked.needs.input_tokens < IMAGE_TOKENS + 100


def test_an_assistant_may_be_silent_while_it_calls_tools():
    history: list[dict[str, Any]] = [HELLO, {"role": "assistant", "content": None, "tool_calls": [CALL]}]

    assert read(body(messages=history)).route == "triage"


@pytest.mark.parametrize(
    ("raw", "code", "param", "part"),
    [
        (b"", "empty_body", None, "no body"),
        (b"{", "invalid_json", None, "(line 1, column 2)"),
        (b'{\n "model" "x"}', "invalid_json", None, "expected ':' (line 2, column 10)"),
        (body() + b" x", "invalid_json", None, "trailing characters"),
        (b'{"model":"x","messages":[],}', "invalid_json", None, "trailing comma"),
        (b'{"model":"\xff"}', "invalid_json", None, "not UTF-8 text (line 1, column 11)"),
        (b'{"other":"\xff"}', "invalid_json", None, "not UTF-8 text"),
        (b"\xef\xbb\xbf{}", "invalid_json", None, "invalid character (line 1, column 1)"),
        (b'{"model":"x","seed":NaN}', "invalid_json", None, "invalid character"),
        (b'{"model":"\\ud800", "messages": []}', "invalid_json", None, "surrogate"),
        (b"[]", "invalid_type", None, "expected an object, but got an array"),
        (b"null", "invalid_type", None, "expected an object, but got null"),
        (b"{}", "missing_required_parameter", "model", "'model'"),
        (b'{"model":"x"}', "missing_required_parameter", "messages", "'messages'"),
        (b'{"model":null}', "invalid_type", "model", "expected a string, but got null"),
        (b'{"model":"x","messages":{}}', "invalid_type", "messages", "expected an array, but got an object"),
        (b'{"model":"x","messages":[]}', "empty_array", "messages", "at least one"),
        (b'{"model":"","messages":[{"role":"user","content":"x"}]}', "invalid_value", "model", "1 to 256"),
        (
            b'{"model":"x","other":' + b"[" * 200 + b"]" * 200 + b"}",
            "missing_required_parameter",
            "messages",
            "messages",
        ),
        (b"[" * 100_000, "invalid_type", None, "expected an object"),
        (b'{"a":' + b"[" * 100_000, "invalid_json", None, "deeper than 128"),
    ],
)
def test_a_broken_body_is_told_with_its_place(raw: bytes, code: str, param: str | None, part: str):
    with pytest.raises(Invalid) as raised:
        read(raw)

    assert (raised.value.code, raised.value.param) == (code, param)
    assert part in raised.value.reason


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"messages": [{"role": "robot", "content": "x"}]}, "unsupported_value", "messages[0].role"),
        ({"messages": [HELLO, {"role": "user"}]}, "missing_required_parameter", "messages[1].content"),
        ({"messages": [{"role": "user", "content": 3}]}, "invalid_type", "messages[0].content"),
        ({"messages": [{"content": "x"}]}, "missing_required_parameter", "messages[0].role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "video"}]}]},
            "unsupported_value",
            "messages[0].content[0].type",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "missing_required_parameter",
            "messages[0].content[0].text",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc"}}]}]},
            "invalid_image_url",
            "messages[0].content[0].image_url.url",
        ),
        ({"messages": [{"role": "tool", "content": "x"}]}, "missing_required_parameter", "messages[0].tool_call_id"),
        ({"n": 0}, "integer_below_min_value", "n"),
        ({"n": 10**9}, "integer_above_max_value", "n"),
        ({"tools": [{"type": "function"}]}, "missing_required_parameter", "tools[0].function"),
        ({"tool_choice": "maybe"}, "unsupported_value", "tool_choice"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "a", "type": "function"}]}]},
            "missing_required_parameter",
            "messages[0].tool_calls[0].function",
        ),
        ({"max_tokens": 0}, "integer_below_min_value", "max_tokens"),
        ({"max_completion_tokens": -5}, "integer_below_min_value", "max_completion_tokens"),
        ({"temperature": "hot"}, "invalid_type", "temperature"),
        ({"temperature": 3}, "decimal_out_of_range", "temperature"),
        ({"stream": "yes"}, "invalid_type", "stream"),
        ({"tools": [{"type": "browser"}]}, "unsupported_value", "tools[0].type"),
        ({"response_format": {"type": "yaml"}}, "unsupported_value", "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "missing_required_parameter", "response_format.json_schema"),
        ({"model": "m" * 257}, "invalid_value", "model"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], code: str, param: str):
    with pytest.raises(Invalid) as raised:
        read(body(**fields))

    assert (raised.value.code, raised.value.param) == (code, param)


def test_tools_their_calls_and_their_results_are_read():
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "Sort."},
        HELLO,
        {"role": "assistant", "content": "One moment.", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "found"},
        {"role": "user", "content": "Thanks"},
    ]
    conversation = read_conversation(body(messages=messages))

    assert conversation.instructions == (Text("Sort."),)
    assert conversation.turns == (
        Turn("user", (Text("hello"),)),
        Turn("assistant", (Text("One moment."), ToolCall("call_1", "lookup", '{"order":7}'))),
        Turn("user", (ToolResult("call_1", (Text("found"),)), Text("Thanks"))),
    )


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
            Image(data="AAAA", media_type="image/png", detail="low"),
        ),
        ({"type": "image_url", "image_url": {"url": "https://a.b/c.png"}}, Image(url="https://a.b/c.png")),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"}},
            Document(data="AAAA", media_type="application/pdf", name="a.pdf"),
        ),
    ],
)
def test_media_are_read(given: dict[str, Any], part: Part):
    conversation = read_conversation(body(messages=[{"role": "user", "content": [given]}]))

    assert conversation.turns[0].parts == (part,)


@pytest.mark.parametrize(
    ("given", "choice"),
    [
        ("required", ToolChoice("required")),
        ({"type": "function", "function": {"name": "lookup"}}, ToolChoice("named", "lookup")),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "lookup"}}],
                },
            },
            ToolChoice("required", allowed=("lookup",)),
        ),
    ],
)
def test_tool_choices_are_read(given: Any, choice: ToolChoice):
    assert read_conversation(body(tool_choice=given)).tool_choice == choice


def test_reasoning_beside_a_message_is_a_thought():
    said = {"role": "assistant", "content": "yes", "reasoning_content": "hm"}

    assert read_conversation(body(messages=[HELLO, said])).turns[1].parts == (Reasoning("hm"), Text("yes"))


@pytest.mark.parametrize(
    ("fields", "parameter", "named"),
    [
        ({"n": 2}, Parameter.CHOICES, "n"),
        ({"logprobs": True}, Parameter.LOGPROBS, "logprobs"),
        ({"temperature": 1.5}, Parameter.HIGH_TEMPERATURE, "temperature"),
        ({"response_format": {"type": "json_object"}}, Parameter.JSON_OBJECT, "response_format"),
        ({"stop": "END"}, Parameter.STOP, "stop"),
        ({"web_search_options": {}}, Parameter.NATIVE, "web_search_options"),
        ({"invented": 1}, Parameter.NATIVE, "invented"),
        ({"messages": [{**HELLO, "name": "Anna"}]}, Parameter.NATIVE, "messages[0].name"),
        (
            {"messages": [HELLO, {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}]},
            Parameter.NATIVE,
            "messages[1]",
        ),
    ],
)
def test_what_not_every_vendor_can_say_is_named(fields: dict[str, Any], parameter: Parameter, named: str):
    assert read(body(**fields)).needs.parameters[parameter] == named


@pytest.mark.parametrize(
    "fields", [{"store": False}, {"service_tier": "auto"}, {"metadata": {"a": "b"}}, {"audio": None}, {"seed": 7}]
)
def test_hints_and_values_that_ask_nothing_are_no_need(fields: dict[str, Any]):
    assert read(body(**fields)).needs.parameters == {}


def test_nesting_within_strings_does_not_count():
    assert read(body(messages=[{"role": "user", "content": "{[" * 500 + '"\\'}])).route == "triage"


def test_a_body_deeper_than_the_limit_is_refused_although_it_parses():
    nested: Any = "x"
    for _ in range(MAX_DEPTH):
        nested = [nested]

    with pytest.raises(Invalid, match="deeper than"):
        read(body(metadata=nested))


JSON = st.recursive(
    st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@given(JSON)
def test_depth_is_never_underestimated(value: Any):
    def nesting(part: Any) -> int:
        match part:
            case dict():
                return 1 + max(map(nesting, cast("dict[str, Any]", part).values()), default=0)
            case list():
                return 1 + max(map(nesting, cast("list[Any]", part)), default=0)
            case _:
                return 0

    assert depth(json.dumps(value).encode()) >= nesting(value)


@given(st.binary(max_size=200))
def test_any_bytes_are_either_understood_or_invalid(raw: bytes):
    with suppress(Invalid):
        assert read(raw).route
