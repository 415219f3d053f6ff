"""Mistral on the wire: strict where others are lenient, as its documentation and its callers report it."""

import json
from typing import Any

import httpx
import pytest

CHAT = "/mistral/v1/chat/completions"
HEADERS = {"authorization": "Bearer test"}
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "look", "parameters": {"type": "object", "properties": {}}},
}


def body(*said: str, **changes: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": each} for each in said or ("Where is my parcel?",)]
    return {"model": "mistral-medium-3-5", "messages": messages, **changes}


async def asked(http: httpx.AsyncClient, **changes: Any) -> httpx.Response:
    return await http.post(CHAT, headers=HEADERS, json=body(**changes))


def chunks(text: str) -> list[dict[str, Any]]:
    blocks = text.removesuffix("\n\n").split("\n\n")
    assert blocks[-1] == "data: [DONE]"
    return [json.loads(block.removeprefix("data: ")) for block in blocks[:-1]]


async def test_thoughts_are_in_the_content_which_is_a_list_then(http: httpx.AsyncClient) -> None:
    plain = (await asked(http)).json()["choices"][0]["message"]
    thought = (await asked(http, reasoning_effort="high")).json()["choices"][0]["message"]

    assert isinstance(plain["content"], str)
    assert [part["type"] for part in thought["content"]] == ["thinking", "text"]
    assert thought["content"][0]["thinking"][0]["type"] == "text"


async def test_the_last_chunk_has_the_counts_though_nobody_asked(http: httpx.AsyncClient) -> None:
    said = chunks((await asked(http, stream=True)).text)

    assert said[-1]["choices"][0]["finish_reason"] == "stop"
    assert said[-1]["usage"]["total_tokens"] > 0
    assert not any("usage" in chunk for chunk in said[:-1])


async def test_calls_have_nine_letters_and_come_in_one_piece(http: httpx.AsyncClient) -> None:
    said = chunks((await asked(http, tools=[TOOL], tool_choice="any", stream=True)).text)

    (call,) = [call for chunk in said for call in chunk["choices"][0]["delta"].get("tool_calls", ())]
    assert len(call["id"]) == 9
    assert call["id"].isalnum()
    assert json.loads(call["function"]["arguments"]) is not None


@pytest.mark.parametrize(
    ("changes", "kind", "place"),
    [
        ({"seed": 7}, "extra_forbidden", ["body", "seed"]),
        ({"stream_options": {}}, "extra_forbidden", ["body", "stream_options"]),
        ({"temperature": 1.6}, "less_than_equal", ["body", "temperature"]),
        ({"reasoning_effort": "low"}, "enum", ["body", "reasoning_effort"]),
        ({"messages": None}, "missing", ["body", "messages"]),
        (
            {"messages": [{"role": "user", "content": "a", "audio": 1}]},
            "extra_forbidden",
            ["body", "messages", 0, "user", "audio"],
        ),
    ],
)
async def test_a_body_of_another_shape_is_refused_with_a_list(
    http: httpx.AsyncClient, changes: dict[str, Any], kind: str, place: list[Any]
) -> None:
    answer = await asked(http, **changes)

    (detail,) = answer.json()["message"]["detail"]
    assert (answer.status_code, detail["type"], detail["loc"]) == (422, kind, place)


def turns(*roles: str, call: str = "D681PevKs", **last: Any) -> list[dict[str, Any]]:
    said: dict[str, dict[str, Any]] = {
        "user": {"content": "hm"},
        "assistant": {"content": "hm"},
        "calling": {"role": "assistant", "tool_calls": [{"id": call, "function": {"name": "look", "arguments": "{}"}}]},
        "tool": {"tool_call_id": call, "content": "hm"},
    }
    made = [{"role": role} | said[role] for role in roles]
    return [*made[:-1], made[-1] | last]


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        (turns("user", "calling", "tool", call="call_1"), "3280"),
        (turns("user", "calling", "tool", "user"), "3230"),
        (turns("user", "assistant"), "3230"),
        (turns("user", "calling", "tool"), None),
        (turns("user", "assistant", prefix=True), None),
    ],
)
async def test_ids_and_the_order_of_messages_are_looked_at(
    http: httpx.AsyncClient, messages: list[Any], code: str | None
) -> None:
    assert (await asked(http, messages=messages, tools=[TOOL])).json().get("code") == code


async def test_greedy_sampling_has_no_shares(http: httpx.AsyncClient) -> None:
    assert (await asked(http, temperature=0, top_p=0.5)).json()["code"] == "3054"


async def test_errors_have_three_forms(http: httpx.AsyncClient) -> None:
    closed = await http.post(CHAT, json=body())
    unknown = await asked(http, model="mistral-9")

    assert (closed.status_code, closed.json()) == (401, {"detail": "Unauthorized"})
    assert (unknown.status_code, unknown.json()["object"], unknown.json()["code"]) == (400, "error", "1500")


async def test_models_need_a_key(http: httpx.AsyncClient) -> None:
    models = await http.get("/mistral/v1/models", headers=HEADERS)

    assert [card["id"] for card in models.json()["data"]] == ["mistral-medium-3-5", "mistral-small-latest"]
