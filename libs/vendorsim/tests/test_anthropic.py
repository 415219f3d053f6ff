"""The Messages API on the wire. Expectations are written out from the vendor's documentation and recordings."""

import json
import re
from typing import Any

import httpx
import pytest

MESSAGES = "/anthropic/v1/messages"
HEADERS = {"x-api-key": "sk-ant-test", "anthropic-version": "2023-06-01"}
TEXT = "My invoice shows a charge that I do not know. Please look into it today."


def body(**changes: Any) -> dict[str, Any]:
    return {
        "model": "claude-haiku-4-5",
        "max_tokens": 256,
        "messages": [{"role": "user", "content": TEXT}],
        **changes,
    }


def events(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Read server-sent events strictly: an event line, a data line, a blank line."""
    found: list[tuple[str, dict[str, Any]]] = []
    for block in text.removesuffix("\n\n").split("\n\n"):
        event, data = block.split("\n")
        assert event.startswith("event: ")
        assert data.startswith("data: ")
        found.append((event.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


async def test_plain_answer_has_the_message_shape(http: httpx.AsyncClient) -> None:
    response = await http.post(MESSAGES, headers=HEADERS, json=body())

    assert response.status_code == 200
    message = response.json()
    assert re.fullmatch(r"msg_01[A-Za-z0-9]{22}", message["id"])
    assert message["type"] == "message"
    assert message["role"] == "assistant"
    assert message["model"] == "claude-haiku-4-5-20251001"
    assert [block["type"] for block in message["content"]] == ["text"]
    assert message["stop_reason"] == "end_turn"
    assert message["stop_sequence"] is None
    usage = message["usage"]
    assert usage["input_tokens"] > 0
    assert usage["cache_creation_input_tokens"] == 0
    assert usage["cache_read_input_tokens"] == 0
    assert usage["cache_creation"] == {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}
    assert usage["service_tier"] == "standard"
    assert usage["inference_geo"] == "not_available"


async def test_answers_carry_request_id_and_rate_limits_with_timestamps(http: httpx.AsyncClient) -> None:
    response = await http.post(MESSAGES, headers=HEADERS, json=body())

    assert response.headers["request-id"].startswith("req_")
    assert response.headers["anthropic-organization-id"]
    for what in ("requests", "tokens", "input-tokens", "output-tokens"):
        assert int(response.headers[f"anthropic-ratelimit-{what}-limit"]) > 0
        assert int(response.headers[f"anthropic-ratelimit-{what}-remaining"]) > 0
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", response.headers[f"anthropic-ratelimit-{what}-reset"])


async def test_stream_sends_the_documented_sequence_and_no_done(http: httpx.AsyncClient) -> None:
    response = await http.post(MESSAGES, headers=HEADERS, json=body(stream=True))

    assert response.headers["content-type"].startswith("text/event-stream")
    names = [name for name, _ in events(response.text)]
    assert names[:3] == ["message_start", "content_block_start", "ping"]
    assert set(names[3:-3]) == {"content_block_delta"}
    assert names[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert "[DONE]" not in response.text


async def test_stream_payloads_are_the_documented_ones(http: httpx.AsyncClient) -> None:
    response = await http.post(MESSAGES, headers=HEADERS, json=body(stream=True))

    found = events(response.text)
    assert all(payload["type"] == name for name, payload in found)
    message = found[0][1]["message"]
    assert message["content"] == []
    assert message["stop_reason"] is None
    assert message["usage"]["output_tokens"] == 1
    assert found[1][1] == {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    assert found[2][1] == {"type": "ping"}
    assert found[-3][1] == {"type": "content_block_stop", "index": 0}
    assert found[-2][1]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None, "stop_details": None}
    assert found[-2][1]["usage"]["input_tokens"] == message["usage"]["input_tokens"]
    assert found[-1][1] == {"type": "message_stop"}


async def test_stream_and_plain_answer_say_the_same(http: httpx.AsyncClient) -> None:
    plain = (await http.post(MESSAGES, headers=HEADERS, json=body())).json()
    found = events((await http.post(MESSAGES, headers=HEADERS, json=body(stream=True))).text)

    text = "".join(payload["delta"]["text"] for name, payload in found if name == "content_block_delta")
    assert text == plain["content"][0]["text"]
    assert found[-2][1]["usage"]["output_tokens"] == plain["usage"]["output_tokens"]


async def test_stream_data_lines_are_padded_with_spaces(http: httpx.AsyncClient) -> None:
    response = await http.post(MESSAGES, headers=HEADERS, json=body(stream=True))

    lines = [line for line in response.text.split("\n") if line.startswith("data: ")]
    assert any(line.endswith("}  ") for line in lines)


@pytest.mark.parametrize("headers", [{"x-api-key": "k"}, {"authorization": "Bearer k"}])
async def test_key_is_taken_from_either_header(http: httpx.AsyncClient, headers: dict[str, str]) -> None:
    response = await http.post(MESSAGES, headers={**headers, "anthropic-version": "2026-10-21"}, json=body())

    assert response.status_code == 200


async def test_api_key_header_wins_over_the_bearer_token(http: httpx.AsyncClient) -> None:
    headers = {**HEADERS, "x-api-key": "invalid", "authorization": "Bearer good"}

    response = await http.post(MESSAGES, headers=headers, json=body())

    assert response.status_code == 401


async def test_missing_key_is_an_authentication_error(http: httpx.AsyncClient) -> None:
    response = await http.post(MESSAGES, headers={"anthropic-version": "2023-06-01"}, json=body())

    assert response.status_code == 401
    assert response.headers["x-should-retry"] == "false"
    answer = response.json()
    assert answer["request_id"] == response.headers["request-id"]
    assert answer["type"] == "error"
    assert answer["error"] == {"type": "authentication_error", "message": "x-api-key header is required"}


@pytest.mark.parametrize("name", ["temperature", "top_p", "top_k"])
async def test_newer_version_rejects_sampling_parameters(http: httpx.AsyncClient, name: str) -> None:
    response = await http.post(MESSAGES, headers={**HEADERS, "anthropic-version": "2026-10-21"}, json=body(**{name: 1}))

    assert response.status_code == 400
    assert response.json()["error"] == {
        "type": "invalid_request_error",
        "message": f"{name}: Extra inputs are not permitted",
    }


async def test_older_version_takes_sampling_parameters(http: httpx.AsyncClient) -> None:
    response = await http.post(MESSAGES, headers=HEADERS, json=body(temperature=0.2, top_p=0.9))

    assert response.status_code == 200


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"messages": []}, "messages: at least one message is required"),
        (
            {"max_tokens": 64001},
            "max_tokens: 64001 > 64000, which is the maximum allowed number of output tokens for claude-haiku-4-5",
        ),
        (
            {"model": "claude-opus-4-6", "messages": [{"role": "assistant", "content": "Dear"}]},
            "This model does not support assistant message prefill. The conversation must end with a user message.",
        ),
    ],
)
async def test_bad_request_names_the_field(http: httpx.AsyncClient, changes: dict[str, Any], message: str) -> None:
    response = await http.post(MESSAGES, headers=HEADERS, json=body(**changes))

    assert response.status_code == 400
    assert response.json()["error"] == {"type": "invalid_request_error", "message": message}


async def test_haiku_accepts_a_prefill(http: httpx.AsyncClient) -> None:
    turns = [{"role": "user", "content": TEXT}, {"role": "assistant", "content": "{"}]

    response = await http.post(MESSAGES, headers=HEADERS, json=body(messages=turns))

    assert response.status_code == 200


async def test_version_header_is_required(http: httpx.AsyncClient) -> None:
    response = await http.post(MESSAGES, headers={"x-api-key": "k"}, json=body())

    assert response.status_code == 400
    assert response.json()["error"]["message"] == "anthropic-version: header is required"


async def test_unknown_model_is_not_found(http: httpx.AsyncClient) -> None:
    response = await http.post(MESSAGES, headers=HEADERS, json=body(model="claude-nine"))

    assert response.status_code == 404
    assert response.json()["error"] == {"type": "not_found_error", "message": "model: claude-nine"}


async def test_too_long_prompt_is_named_with_both_numbers(http: httpx.AsyncClient) -> None:
    response = await http.post(
        MESSAGES, headers=HEADERS, json=body(messages=[{"role": "user", "content": "a" * 900_000}])
    )

    assert response.status_code == 400
    assert re.fullmatch(r"prompt is too long: 22\d{4} tokens > 200000 maximum", response.json()["error"]["message"])


async def test_max_tokens_ends_the_answer(http: httpx.AsyncClient) -> None:
    response = await http.post(MESSAGES, headers=HEADERS, json=body(max_tokens=5))

    assert response.json()["stop_reason"] == "max_tokens"
    assert response.json()["usage"]["output_tokens"] == 5


async def test_stop_sequence_is_named_in_the_answer(http: httpx.AsyncClient) -> None:
    response = await http.post(MESSAGES, headers=HEADERS, json=body(stop_sequences=["(ref"]))

    assert response.json()["stop_reason"] == "stop_sequence"
    assert response.json()["stop_sequence"] == "(ref"
    assert "(ref" not in response.json()["content"][0]["text"]


async def test_refusal_is_http_200_with_its_details(http: httpx.AsyncClient) -> None:
    response = await http.post(
        MESSAGES, headers=HEADERS, json=body(messages=[{"role": "user", "content": "[[refuse]]"}])
    )

    assert response.status_code == 200
    assert response.json()["stop_reason"] == "refusal"
    assert response.json()["stop_details"]["type"] == "refusal"
    assert response.json()["content"] == []


async def test_streamed_refusal_still_ends_in_good_order(http: httpx.AsyncClient) -> None:
    turns = [{"role": "user", "content": "[[refuse]]"}]

    response = await http.post(MESSAGES, headers=HEADERS, json=body(messages=turns, stream=True))

    found = events(response.text)
    assert [name for name, _ in found] == ["message_start", "message_delta", "message_stop"]
    assert found[1][1]["delta"]["stop_reason"] == "refusal"


TOOL = {
    "name": "open_case",
    "description": "Open a case",
    "input_schema": {
        "type": "object",
        "properties": {"category": {"type": "string", "enum": ["billing", "other"]}, "summary": {"type": "string"}},
    },
}


async def test_forced_tool_is_called_with_arguments_of_its_schema(http: httpx.AsyncClient) -> None:
    request = body(tools=[TOOL], tool_choice={"type": "tool", "name": "open_case"})

    message = (await http.post(MESSAGES, headers=HEADERS, json=request)).json()

    assert message["stop_reason"] == "tool_use"
    (block,) = message["content"]
    assert block["type"] == "tool_use"
    assert re.fullmatch(r"toolu_[A-Za-z0-9]{24}", block["id"])
    assert block["input"] == {"category": "billing", "summary": "My invoice shows a charge that I do not know."}


async def test_streamed_tool_input_begins_empty_and_adds_up(http: httpx.AsyncClient) -> None:
    request = body(tools=[TOOL], tool_choice={"type": "any"}, stream=True)

    found = events((await http.post(MESSAGES, headers=HEADERS, json=request)).text)

    start = found[1][1]["content_block"]
    assert start["type"] == "tool_use"
    assert start["input"] == {}
    parts = [payload["delta"]["partial_json"] for name, payload in found if name == "content_block_delta"]
    assert parts[0] == ""
    assert json.loads("".join(parts))["category"] == "billing"
    assert found[-2][1]["delta"]["stop_reason"] == "tool_use"


async def test_tool_without_arguments_streams_one_empty_piece(http: httpx.AsyncClient) -> None:
    tool: dict[str, Any] = {"name": "hand_over", "input_schema": {"type": "object", "properties": {}}}

    found = events(
        (
            await http.post(
                MESSAGES, headers=HEADERS, json=body(tools=[tool], tool_choice={"type": "any"}, stream=True)
            )
        ).text
    )

    assert [payload["delta"]["partial_json"] for name, payload in found if name == "content_block_delta"] == [""]


async def test_thinking_comes_first_and_is_signed(http: httpx.AsyncClient) -> None:
    request = body(model="claude-sonnet-4-6", thinking={"type": "adaptive"}, stream=True)

    found = events((await http.post(MESSAGES, headers=HEADERS, json=request)).text)

    kinds = [payload["delta"]["type"] for name, payload in found if name == "content_block_delta"]
    assert list(dict.fromkeys(kinds)) == ["thinking_delta", "signature_delta", "text_delta"]
    assert [name for name, _ in found].count("ping") == 1


async def test_unknown_path_and_broken_body_get_the_vendors_errors(http: httpx.AsyncClient) -> None:
    lost = await http.post("/anthropic/v1/nothing", headers=HEADERS, json=body())
    broken = await http.post(MESSAGES, headers=HEADERS, content=b"{")

    assert (lost.status_code, lost.json()["error"]["type"]) == (404, "not_found_error")
    assert (broken.status_code, broken.json()["error"]["type"]) == (400, "invalid_request_error")


async def test_retry_after_is_seen_on_some_good_answers(http: httpx.AsyncClient) -> None:
    """Recorded from the vendor: a client that obeys the header on HTTP 200 slows down for nothing."""
    asks = [body(messages=[{"role": "user", "content": f"Ticket {number}"}]) for number in range(60)]

    answers = [await http.post(MESSAGES, headers=HEADERS, json=ask) for ask in asks]

    assert {answer.status_code for answer in answers} == {200}
    assert 0 < sum("retry-after" in answer.headers for answer in answers) < 60


async def test_too_large_request_is_413(http: httpx.AsyncClient) -> None:
    response = await http.post(MESSAGES, headers=HEADERS, content=b" " * (32 * 1024 * 1024 + 1))

    assert (response.status_code, response.json()["error"]["type"]) == (413, "request_too_large")
