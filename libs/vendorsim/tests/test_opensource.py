"""vLLM's OpenAI-compatible server on the wire. Expectations are written out from its documentation and source."""

import json
from typing import Any

import httpx
import pytest

CHAT = "/opensource/v1/chat/completions"
HEADERS = {"authorization": "Bearer local"}


def body(**changes: Any) -> dict[str, Any]:
    content = "¿Dónde está mi paquete? No lo he recibido."
    return {"model": "openai/gpt-oss-120b", "messages": [{"role": "user", "content": content}], **changes}


def chunks(text: str) -> list[dict[str, Any]]:
    blocks = text.removesuffix("\n\n").split("\n\n")
    assert blocks[-1] == "data: [DONE]"
    return [json.loads(block.removeprefix("data: ")) for block in blocks[:-1]]


async def test_plain_answer_has_vllms_extra_members(http: httpx.AsyncClient) -> None:
    answer = (await http.post(CHAT, headers=HEADERS, json=body())).json()

    assert answer["object"] == "chat.completion"
    assert answer["model"] == "openai/gpt-oss-120b"
    (choice,) = answer["choices"]
    assert choice["finish_reason"] == "stop"
    assert choice["stop_reason"] is None
    assert choice["message"]["tool_calls"] == []
    assert choice["message"]["reasoning"] is None
    assert answer["usage"]["prompt_tokens_details"] is None
    assert answer["kv_transfer_params"] is None


async def test_stream_ends_with_done_and_sends_usage_only_when_asked(http: httpx.AsyncClient) -> None:
    without = chunks((await http.post(CHAT, headers=HEADERS, json=body(stream=True))).text)
    request = body(stream=True, stream_options={"include_usage": True})
    with_usage = chunks((await http.post(CHAT, headers=HEADERS, json=request)).text)

    assert without[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert without[-1]["choices"][0]["finish_reason"] == "stop"
    assert all("usage" not in chunk for chunk in without)
    assert with_usage[-1]["choices"] == []
    assert with_usage[-1]["usage"]["completion_tokens"] > 0


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer invalid"}])
async def test_wrong_key_is_a_bare_word(http: httpx.AsyncClient, headers: dict[str, str]) -> None:
    response = await http.post(CHAT, headers=headers, json=body())

    assert response.status_code == 401
    assert response.json() == {"error": "Unauthorized"}


async def test_unknown_model_has_an_integer_code(http: httpx.AsyncClient) -> None:
    response = await http.post(CHAT, headers=HEADERS, json=body(model="llama"))

    assert response.status_code == 404
    assert response.json() == {
        "error": {
            "message": "The model `llama` does not exist.",
            "type": "NotFoundError",
            "param": "model",
            "code": 404,
        }
    }


async def test_prompt_and_limit_together_must_fit_the_window(http: httpx.AsyncClient) -> None:
    response = await http.post(CHAT, headers=HEADERS, json=body(max_tokens=131_072))

    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["type"], error["code"]) == ("BadRequestError", 400)
    assert error["message"].startswith("This model's maximum context length is 131072 tokens. However, you requested ")


async def test_unknown_members_are_ignored_and_stop_is_honoured(http: httpx.AsyncClient) -> None:
    request = body(guided_json={"type": "object"}, stop=["(ref"], max_tokens=500)

    (choice,) = (await http.post(CHAT, headers=HEADERS, json=request)).json()["choices"]

    assert choice["finish_reason"] == "stop"
    assert choice["stop_reason"] == "(ref"


async def test_bare_model_declines_in_words(http: httpx.AsyncClient) -> None:
    request = body(messages=[{"role": "user", "content": "[[refuse]]"}])

    (choice,) = (await http.post(CHAT, headers=HEADERS, json=request)).json()["choices"]

    assert choice["finish_reason"] == "stop"
    assert choice["message"]["content"] == "I'm sorry, but I can't help with that request."
    assert choice["message"]["refusal"] is None


async def test_tool_call_ids_are_vllms(http: httpx.AsyncClient) -> None:
    tool: dict[str, Any] = {
        "type": "function",
        "function": {"name": "open_case", "parameters": {"type": "object", "properties": {}}},
    }

    answer = (await http.post(CHAT, headers=HEADERS, json=body(tools=[tool], tool_choice="required"))).json()

    assert answer["choices"][0]["message"]["tool_calls"][0]["id"].startswith("chatcmpl-tool-")


async def test_health_needs_no_key_and_models_do(http: httpx.AsyncClient) -> None:
    health = await http.get("/opensource/health")
    closed = await http.get("/opensource/v1/models")
    models = await http.get("/opensource/v1/models", headers=HEADERS)

    assert (health.status_code, health.content) == (200, b"")
    assert closed.status_code == 401
    card, embedder = models.json()["data"]
    assert (embedder["id"], embedder["max_model_len"]) == ("BAAI/bge-m3", 8192)
    assert card["id"] == "openai/gpt-oss-120b"
    assert card["owned_by"] == "vllm"
    assert card["max_model_len"] == 131_072


async def test_the_embedding_model_makes_vectors_of_one_length_only(http: httpx.AsyncClient) -> None:
    asked = {"model": "BAAI/bge-m3", "input": ["a", "b"]}
    answer = (await http.post("/opensource/v1/embeddings", headers=HEADERS, json=asked)).json()
    shorter = await http.post("/opensource/v1/embeddings", headers=HEADERS, json=asked | {"dimensions": 8})
    elsewhere = await http.post("/opensource/v1/embeddings", headers=HEADERS, json=asked | {"model": "gpt-oss"})

    assert [len(each["embedding"]) for each in answer["data"]] == [1024, 1024]
    assert answer["usage"]["completion_tokens"] == 0
    assert (shorter.status_code, shorter.json()["error"]["code"]) == (400, 400)
    assert "matryoshka" in shorter.json()["error"]["message"]
    assert elsewhere.status_code == 404
