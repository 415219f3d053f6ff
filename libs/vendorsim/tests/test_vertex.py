"""Vertex Gemini on the wire. Expectations are written out from documentation and recordings."""

import json
import re
from typing import Any

import httpx
import pytest

MODELS = "/vertex/v1/projects/p-1/locations/global/publishers/google/models/"
PLAIN = MODELS + "gemini-3.5-flash:generateContent"
STREAM = MODELS + "gemini-3.5-flash:streamGenerateContent?alt=sse"
HEADERS = {"authorization": "Bearer ya29.test"}


def body(text: str = "Je n'ai pas reçu mon colis, et vous ne répondez pas.", **changes: Any) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": text}]}], **changes}


def chunks(text: str) -> list[dict[str, Any]]:
    """Read the stream strictly: data lines, each followed by CRLF CRLF."""
    assert text.endswith("\r\n\r\n")
    blocks = text.removesuffix("\r\n\r\n").split("\r\n\r\n")
    assert all(block.startswith("data: ") for block in blocks)
    return [json.loads(block.removeprefix("data: ")) for block in blocks]


@pytest.mark.parametrize("model", ["gemini-3.5-flash", "gemini-3.1-pro-preview"])
@pytest.mark.parametrize("version", ["v1", "v1beta1"])
async def test_plain_answer_has_the_generate_content_shape(http: httpx.AsyncClient, model: str, version: str) -> None:
    url = f"{MODELS}{model}:generateContent".replace("/v1/", f"/{version}/")

    response = await http.post(url, headers=HEADERS, json=body())

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json; charset=UTF-8"
    answer = response.json()
    (candidate,) = answer["candidates"]
    assert candidate["content"]["role"] == "model"
    assert candidate["content"]["parts"][0]["text"]
    assert candidate["finishReason"] == "STOP"
    assert answer["modelVersion"] == model
    assert answer["responseId"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", answer["createTime"])
    usage = answer["usageMetadata"]
    assert usage["trafficType"] == "ON_DEMAND"
    billed = usage["candidatesTokenCount"] + usage["thoughtsTokenCount"]
    assert usage["totalTokenCount"] == usage["promptTokenCount"] + billed


async def test_stream_is_crlf_separated_and_has_no_terminator(http: httpx.AsyncClient) -> None:
    response = await http.post(STREAM, headers=HEADERS, json=body())

    assert response.headers["content-type"].startswith("text/event-stream")
    assert "[DONE]" not in response.text
    assert "event:" not in response.text
    found = chunks(response.text)
    assert all("finishReason" not in chunk["candidates"][0] for chunk in found[:-1])
    assert found[-1]["candidates"][0]["finishReason"] == "STOP"


async def test_stream_usage_is_cumulative(http: httpx.AsyncClient) -> None:
    found = chunks((await http.post(STREAM, headers=HEADERS, json=body("[[long]]"))).text)

    counts = [chunk["usageMetadata"]["candidatesTokenCount"] for chunk in found]
    assert counts == sorted(counts)
    assert counts[-1] == 2000


async def test_stream_and_plain_answer_say_the_same(http: httpx.AsyncClient) -> None:
    plain = (await http.post(PLAIN, headers=HEADERS, json=body())).json()
    found = chunks((await http.post(STREAM, headers=HEADERS, json=body())).text)

    text = "".join(chunk["candidates"][0]["content"]["parts"][0]["text"] for chunk in found)
    assert text == plain["candidates"][0]["content"]["parts"][0]["text"]


async def test_stream_without_sse_is_one_json_array(http: httpx.AsyncClient) -> None:
    response = await http.post(STREAM.partition("?")[0], headers=HEADERS, json=body())

    assert response.json()[-1]["candidates"][0]["finishReason"] == "STOP"


@pytest.mark.parametrize("url", [PLAIN, STREAM])
async def test_blocked_prompt_is_200_without_candidates(http: httpx.AsyncClient, url: str) -> None:
    response = await http.post(url, headers=HEADERS, json=body("[[refuse]]"))

    assert response.status_code == 200
    answer = chunks(response.text)[0] if url == STREAM else response.json()
    assert "candidates" not in answer
    assert answer["promptFeedback"]["blockReason"] == "PROHIBITED_CONTENT"


async def test_filtered_output_has_finish_reason_safety(http: httpx.AsyncClient) -> None:
    answer = (await http.post(PLAIN, headers=HEADERS, json=body("[[filter]]"))).json()

    assert answer["candidates"][0]["finishReason"] == "SAFETY"


async def test_thoughts_can_use_up_the_limit_and_leave_no_parts(http: httpx.AsyncClient) -> None:
    request = body(generationConfig={"maxOutputTokens": 20, "thinkingConfig": {"thinkingLevel": "HIGH"}})

    answer = (await http.post(PLAIN, headers=HEADERS, json=request)).json()

    (candidate,) = answer["candidates"]
    assert candidate["finishReason"] == "MAX_TOKENS"
    assert "parts" not in candidate["content"]
    assert answer["usageMetadata"]["thoughtsTokenCount"] == 20


async def test_missing_token_is_unauthenticated(http: httpx.AsyncClient) -> None:
    response = await http.post(PLAIN, json=body())

    assert response.status_code == 401
    error = response.json()["error"]
    assert error["code"] == 401
    assert error["status"] == "UNAUTHENTICATED"
    assert error["details"][0]["reason"] == "CREDENTIALS_MISSING"


async def test_errors_on_the_stream_endpoint_are_an_array(http: httpx.AsyncClient) -> None:
    response = await http.post(STREAM, json=body())

    assert response.status_code == 401
    (answer,) = response.json()
    assert answer["error"]["status"] == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    "url",
    [MODELS + "gemini-9:generateContent", PLAIN.replace("/global/", "/moon-north1/")],
)
async def test_unknown_model_or_location_is_not_found(http: httpx.AsyncClient, url: str) -> None:
    response = await http.post(url, headers=HEADERS, json=body())

    assert response.status_code == 404
    assert response.json()["error"]["status"] == "NOT_FOUND"
    assert "was not found or your project does not have access to it" in response.json()["error"]["message"]


async def test_context_overflow_is_an_invalid_argument(http: httpx.AsyncClient) -> None:
    response = await http.post(PLAIN, headers=HEADERS, json=body("a" * 4_300_000))

    assert response.status_code == 400
    error = response.json()["error"]
    assert error["status"] == "INVALID_ARGUMENT"
    assert error["message"].endswith("exceeds the maximum number of tokens allowed (1048576).")


async def test_contents_are_required(http: httpx.AsyncClient) -> None:
    response = await http.post(PLAIN, headers=HEADERS, json={"contents": []})

    assert response.status_code == 400
    assert response.json()["error"]["status"] == "INVALID_ARGUMENT"


async def test_tool_call_has_object_arguments_and_finish_reason_stop(http: httpx.AsyncClient) -> None:
    declaration = {
        "name": "open_case",
        "parameters": {"type": "OBJECT", "properties": {"category": {"type": "STRING"}}},
    }
    request = body(
        tools=[{"functionDeclarations": [declaration]}],
        toolConfig={"functionCallingConfig": {"mode": "ANY"}},
    )

    (candidate,) = (await http.post(PLAIN, headers=HEADERS, json=request)).json()["candidates"]

    assert candidate["finishReason"] == "STOP"
    (part,) = candidate["content"]["parts"]
    assert part["functionCall"] == {"name": "open_case", "args": {"category": "delivery"}}
    assert part["thoughtSignature"]


async def test_service_account_assertion_buys_an_access_token(http: httpx.AsyncClient) -> None:
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "head.claims.signature"}

    granted = await http.post("/vertex/oauth2/token", data=form)
    denied = await http.post("/vertex/oauth2/token", data={**form, "assertion": "none"})

    assert granted.status_code == 200
    token = granted.json()
    assert token["token_type"] == "Bearer"
    assert token["expires_in"] == 3599
    answer = await http.post(PLAIN, headers={"authorization": f"Bearer {token['access_token']}"}, json=body())
    assert answer.status_code == 200
    assert (denied.status_code, denied.json()["error"]) == (400, "invalid_grant")
