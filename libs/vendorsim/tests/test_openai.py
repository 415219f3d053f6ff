"""OpenAI Chat Completions on the wire. Expectations are written out from the documentation and recordings."""

import json
import re
from typing import Any

import httpx
import pytest

CHAT = "/openai/v1/chat/completions"
HEADERS = {"authorization": "Bearer sk-proj-test"}
UNSUPPORTED = "Unsupported parameter"
UNSUPPORTED_VALUE = "Unsupported value"
ONLY_DEFAULT = "Only the default (1) value is supported."
TEXT = "My parcel did not arrive, and it was a present. Can you help today?"


def body(**changes: Any) -> dict[str, Any]:
    return {"model": "gpt-5.2", "messages": [{"role": "user", "content": TEXT}], **changes}


def chunks(text: str) -> list[dict[str, Any]]:
    """Read the stream strictly: data lines, blank lines between, [DONE] last."""
    blocks = text.removesuffix("\n\n").split("\n\n")
    assert blocks[-1] == "data: [DONE]"
    return [json.loads(block.removeprefix("data: ")) for block in blocks[:-1]]


async def test_plain_answer_has_the_chat_completion_shape(http: httpx.AsyncClient) -> None:
    response = await http.post(CHAT, headers=HEADERS, json=body())

    assert response.status_code == 200
    answer = response.json()
    assert re.fullmatch(r"chatcmpl-[A-Za-z0-9]{29}", answer["id"])
    assert answer["object"] == "chat.completion"
    assert answer["model"] == "gpt-5.2-2025-12-11"
    assert answer["service_tier"] == "default"
    assert answer["system_fingerprint"] is None
    (choice,) = answer["choices"]
    assert choice["index"] == 0
    assert choice["finish_reason"] == "stop"
    assert choice["logprobs"] is None
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"]
    assert choice["message"]["refusal"] is None
    assert choice["message"]["annotations"] == []
    assert "tool_calls" not in choice["message"]
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_tokens_details"] == {"cached_tokens": 0, "audio_tokens": 0}
    assert usage["completion_tokens_details"] == {
        "reasoning_tokens": 0,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    }


async def test_answers_carry_rate_limits_with_go_durations(http: httpx.AsyncClient) -> None:
    response = await http.post(CHAT, headers=HEADERS, json=body())

    assert response.headers["x-request-id"].startswith("req_")
    assert response.headers["openai-version"] == "2020-10-01"
    assert int(response.headers["openai-processing-ms"]) >= 0
    for what in ("requests", "tokens"):
        assert int(response.headers[f"x-ratelimit-limit-{what}"]) > 0
        assert int(response.headers[f"x-ratelimit-remaining-{what}"]) > 0
        assert re.fullmatch(r"(\d+m)?\d+(\.\d+)?(ms|s)", response.headers[f"x-ratelimit-reset-{what}"])


async def test_stream_goes_from_role_to_finish_to_done(http: httpx.AsyncClient) -> None:
    response = await http.post(CHAT, headers=HEADERS, json=body(stream=True))

    assert response.headers["content-type"].startswith("text/event-stream")
    assert "event:" not in response.text
    found = chunks(response.text)
    assert found[0]["choices"] == [
        {
            "index": 0,
            "delta": {"role": "assistant", "content": "", "refusal": None},
            "logprobs": None,
            "finish_reason": None,
        }
    ]
    assert all(set(chunk["choices"][0]["delta"]) == {"content"} for chunk in found[1:-1])
    assert found[-1]["choices"] == [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}]
    assert {chunk["object"] for chunk in found} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in found}) == 1
    assert all("usage" not in chunk for chunk in found)
    assert all(chunk["obfuscation"] for chunk in found)


async def test_stream_and_plain_answer_say_the_same(http: httpx.AsyncClient) -> None:
    plain = (await http.post(CHAT, headers=HEADERS, json=body())).json()
    found = chunks((await http.post(CHAT, headers=HEADERS, json=body(stream=True))).text)

    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in found)
    assert text == plain["choices"][0]["message"]["content"]


async def test_asked_for_usage_comes_last_and_is_null_before(http: httpx.AsyncClient) -> None:
    request = body(stream=True, stream_options={"include_usage": True})

    found = chunks((await http.post(CHAT, headers=HEADERS, json=request)).text)

    assert all(chunk["usage"] is None for chunk in found[:-1])
    assert found[-1]["choices"] == []
    assert found[-1]["usage"]["completion_tokens"] == len(found) - 3


async def test_missing_key_and_wrong_key_have_the_invalid_request_type(http: httpx.AsyncClient) -> None:
    missing = await http.post(CHAT, json=body())
    wrong = await http.post(CHAT, headers={"authorization": "Bearer sk-invalid"}, json=body())

    assert missing.status_code == wrong.status_code == 401
    assert missing.json()["error"]["type"] == wrong.json()["error"]["type"] == "invalid_request_error"
    assert wrong.json()["error"]["code"] == "invalid_api_key"
    assert wrong.json()["error"]["message"].startswith("Incorrect API key provided: ")
    assert "sk-invalid" not in wrong.text


async def test_unknown_model_is_404_model_not_found(http: httpx.AsyncClient) -> None:
    response = await http.post(CHAT, headers=HEADERS, json=body(model="gpt-9"))

    assert response.status_code == 404
    assert response.json() == {
        "error": {
            "message": "The model `gpt-9` does not exist or you do not have access to it.",
            "type": "invalid_request_error",
            "param": None,
            "code": "model_not_found",
        }
    }


@pytest.mark.parametrize(
    ("changes", "code", "param", "message"),
    [
        (
            {"max_tokens": 100},
            "unsupported_parameter",
            "max_tokens",
            f"{UNSUPPORTED}: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        ),
        (
            {"stop": ["x"]},
            "unsupported_parameter",
            "stop",
            f"{UNSUPPORTED}: 'stop' is not supported with this model.",
        ),
        (
            {"temperature": 0.2, "reasoning_effort": "low"},
            "unsupported_value",
            "temperature",
            f"{UNSUPPORTED_VALUE}: 'temperature' does not support 0.2 with this model. {ONLY_DEFAULT}",
        ),
        (
            {"messages": None},
            "missing_required_parameter",
            "messages",
            "Missing required parameter: 'messages'.",
        ),
    ],
)
async def test_gpt_5_2_rejects_what_it_does_not_take(
    http: httpx.AsyncClient, changes: dict[str, Any], code: str, param: str, message: str
) -> None:
    response = await http.post(CHAT, headers=HEADERS, json=body(**changes))

    assert response.status_code == 400
    assert response.json()["error"] == {
        "message": message,
        "type": "invalid_request_error",
        "param": param,
        "code": code,
    }


async def test_temperature_is_taken_without_reasoning(http: httpx.AsyncClient) -> None:
    response = await http.post(CHAT, headers=HEADERS, json=body(temperature=0.2))

    assert response.status_code == 200


async def test_reasoning_can_use_up_the_limit_and_leave_no_text(http: httpx.AsyncClient) -> None:
    request = body(reasoning_effort="high", max_completion_tokens=100)

    answer = (await http.post(CHAT, headers=HEADERS, json=request)).json()

    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["choices"][0]["message"]["content"] == ""
    assert answer["usage"]["completion_tokens"] == 100
    assert answer["usage"]["completion_tokens_details"]["reasoning_tokens"] == 100


async def test_limit_cuts_the_answer(http: httpx.AsyncClient) -> None:
    answer = (await http.post(CHAT, headers=HEADERS, json=body(max_completion_tokens=4))).json()

    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 4


async def test_context_overflow_is_context_length_exceeded(http: httpx.AsyncClient) -> None:
    response = await http.post(
        CHAT, headers=HEADERS, json=body(messages=[{"role": "user", "content": "a" * 1_200_000}])
    )

    assert response.status_code == 400
    error = response.json()["error"]
    assert error["code"] == "context_length_exceeded"
    assert error["param"] == "messages"
    assert "272000" in error["message"]


async def test_refusal_is_a_message_field_with_finish_reason_stop(http: httpx.AsyncClient) -> None:
    answer = (
        await http.post(CHAT, headers=HEADERS, json=body(messages=[{"role": "user", "content": "[[refuse]]"}]))
    ).json()

    (choice,) = answer["choices"]
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["content"] is None
    assert choice["message"]["refusal"]


async def test_filtered_output_ends_with_content_filter(http: httpx.AsyncClient) -> None:
    answer = (
        await http.post(CHAT, headers=HEADERS, json=body(messages=[{"role": "user", "content": "[[filter]]"}]))
    ).json()

    assert answer["choices"][0]["finish_reason"] == "content_filter"


TOOL = {
    "type": "function",
    "function": {
        "name": "open_case",
        "parameters": {"type": "object", "properties": {"category": {"type": "string"}, "urgent": {"type": "boolean"}}},
    },
}


@pytest.mark.parametrize(
    ("choice", "finish"),
    [
        ({"type": "function", "function": {"name": "open_case"}}, "stop"),
        ("required", "tool_calls"),
    ],
)
async def test_tool_call_has_string_arguments(http: httpx.AsyncClient, choice: Any, finish: str) -> None:
    """A function that is forced by name ends with `stop`, as recorded from the vendor."""
    answer = (await http.post(CHAT, headers=HEADERS, json=body(tools=[TOOL], tool_choice=choice))).json()

    assert answer["choices"][0]["finish_reason"] == finish
    message = answer["choices"][0]["message"]
    assert message["content"] is None
    (call,) = message["tool_calls"]
    assert re.fullmatch(r"call_[A-Za-z0-9]{24}", call["id"])
    assert call["type"] == "function"
    assert call["function"]["name"] == "open_case"
    assert json.loads(call["function"]["arguments"])["category"] == "delivery"


async def test_streamed_tool_call_names_itself_once(http: httpx.AsyncClient) -> None:
    request = body(tools=[TOOL], tool_choice="required", stream=True)

    found = chunks((await http.post(CHAT, headers=HEADERS, json=request)).text)

    (first,) = found[0]["choices"][0]["delta"]["tool_calls"]
    assert first["index"] == 0
    assert first["function"] == {"name": "open_case", "arguments": ""}
    rest = [chunk["choices"][0]["delta"]["tool_calls"][0] for chunk in found[1:-1]]
    assert all(set(part) == {"index", "function"} for part in rest)
    assert json.loads("".join(part["function"]["arguments"] for part in rest))["category"] == "delivery"
    assert found[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_json_schema_is_followed(http: httpx.AsyncClient) -> None:
    schema = {
        "type": "object",
        "properties": {
            "category": {"type": "string", "enum": ["delivery", "other"]},
            "urgency": {"type": "string"},
            "language": {"type": "string"},
            "score": {"type": "integer", "minimum": 1, "maximum": 5},
        },
        "required": ["category", "urgency", "language", "score"],
        "additionalProperties": False,
    }
    response_format = {"type": "json_schema", "json_schema": {"name": "triage", "schema": schema, "strict": True}}

    answer = (await http.post(CHAT, headers=HEADERS, json=body(response_format=response_format))).json()

    found = json.loads(answer["choices"][0]["message"]["content"])
    assert found["category"] == "delivery"
    assert found["urgency"] == "high"
    assert found["language"] == "en"
    assert 1 <= found["score"] <= 5


async def test_models_are_listed_and_found_by_name(http: httpx.AsyncClient) -> None:
    listed = (await http.get("/openai/v1/models", headers=HEADERS)).json()
    found = await http.get("/openai/v1/models/gpt-5.2", headers=HEADERS)
    missing = await http.get("/openai/v1/models/gpt-9", headers=HEADERS)

    assert listed["object"] == "list"
    assert "gpt-5.2" in [card["id"] for card in listed["data"]]
    assert found.json()["object"] == "model"
    assert missing.json()["error"]["code"] == "model_not_found"


async def test_unknown_path_and_broken_body_get_the_vendors_errors(http: httpx.AsyncClient) -> None:
    lost = await http.post("/openai/v1/nothing", headers=HEADERS, json=body())
    broken = await http.post(CHAT, headers=HEADERS, content=b'{"model": "gpt-5.2", "messages": [}')

    assert lost.status_code == 404
    assert lost.json()["error"]["message"] == "Invalid URL (POST /v1/nothing)"
    assert broken.status_code == 400
    assert broken.json()["error"]["type"] == "invalid_request_error"
