"""Azure OpenAI on the wire, in both URL forms. Expectations are written out from documentation and recordings."""

import json
import re
from typing import Any

import httpx
import pytest

CLASSIC = "/azure/{region}/openai/deployments/{deployment}/chat/completions?api-version=2024-10-21"
V1 = "/azure/{region}/openai/v1/chat/completions"
HEADERS = {"api-key": "0123456789abcdef"}
SAFE = {
    "hate": {"filtered": False, "severity": "safe"},
    "self_harm": {"filtered": False, "severity": "safe"},
    "sexual": {"filtered": False, "severity": "safe"},
    "violence": {"filtered": False, "severity": "safe"},
}
REGIONS = {
    "australiaeast": "Australia East",
    "centralus": "Central US",
    "eastus2": "East US 2",
    "koreacentral": "Korea Central",
    "norwayeast": "Norway East",
    "swedencentral": "Sweden Central",
    "uksouth": "UK South",
}


def classic(region: str = "uksouth", deployment: str = "gpt-5-2") -> str:
    return CLASSIC.format(region=region, deployment=deployment)


def body(**changes: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "The kettle leaks since yesterday."}], **changes}


def chunks(text: str) -> list[dict[str, Any]]:
    blocks = text.removesuffix("\n\n").split("\n\n")
    assert blocks[-1] == "data: [DONE]"
    return [json.loads(block.removeprefix("data: ")) for block in blocks[:-1]]


@pytest.mark.parametrize(("region", "human"), REGIONS.items())
async def test_each_region_answers_under_its_human_name(http: httpx.AsyncClient, region: str, human: str) -> None:
    response = await http.post(classic(region), headers=HEADERS, json=body())

    assert response.status_code == 200
    assert response.headers["x-ms-region"] == human


async def test_plain_answer_names_the_model_and_the_filter_results(http: httpx.AsyncClient) -> None:
    response = await http.post(classic(), headers=HEADERS, json=body())

    answer = response.json()
    assert answer["object"] == "chat.completion"
    assert answer["model"] == "gpt-5.2-2025-12-11"
    assert answer["prompt_filter_results"] == [
        {
            "prompt_index": 0,
            "content_filter_results": {"jailbreak": {"filtered": False, "detected": False}, **SAFE},
        }
    ]
    (choice,) = answer["choices"]
    assert choice["finish_reason"] == "stop"
    assert choice["content_filter_results"].items() >= SAFE.items()


async def test_headers_are_azures_with_integer_resets(http: httpx.AsyncClient) -> None:
    response = await http.post(classic(), headers={**HEADERS, "x-ms-client-request-id": "mine"}, json=body())

    headers = response.headers
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", headers["apim-request-id"])
    assert headers["x-ms-client-request-id"] == "mine"
    assert headers["x-ms-rai-invoked"] == "true"
    assert headers["azureml-model-session"]
    for what in ("requests", "tokens"):
        assert int(headers[f"x-ratelimit-limit-{what}"]) > 0
        assert int(headers[f"x-ratelimit-remaining-{what}"]) > 0
        assert int(headers[f"x-ratelimit-reset-{what}"]) <= 60_000
        assert headers[f"x-ratelimit-renewalperiod-{what}"] == "60"


async def test_stream_begins_with_filter_results_without_choices(http: httpx.AsyncClient) -> None:
    request = body(stream=True, stream_options={"include_usage": True})

    found = chunks((await http.post(classic(), headers=HEADERS, json=request)).text)

    first = found[0]
    assert (first["id"], first["model"], first["object"], first["created"]) == ("", "", "", 0)
    assert first["choices"] == []
    assert first["prompt_filter_results"][0]["prompt_index"] == 0
    assert found[1]["choices"][0]["delta"]["role"] == "assistant"
    assert found[2]["choices"][0]["content_filter_results"] == SAFE
    assert found[-2]["choices"][0]["finish_reason"] == "stop"
    assert found[-1]["choices"] == []
    assert found[-1]["usage"]["total_tokens"] > 0


async def test_v1_form_takes_the_deployment_from_the_body(http: httpx.AsyncClient) -> None:
    response = await http.post(V1.format(region="eastus2"), headers=HEADERS, json=body(model="gpt-5-2"))

    assert response.status_code == 200
    assert response.json()["model"] == "gpt-5.2-2025-12-11"


async def test_entra_token_is_accepted(http: httpx.AsyncClient) -> None:
    response = await http.post(classic(), headers={"authorization": "Bearer eyJ0"}, json=body())

    assert response.status_code == 200


async def test_missing_key_has_a_numeric_string_code_and_no_type(http: httpx.AsyncClient) -> None:
    response = await http.post(classic(), json=body())

    assert response.status_code == 401
    error = response.json()["error"]
    assert set(error) == {"code", "message"}
    assert error["code"] == "401"


@pytest.mark.parametrize(
    ("url", "request_body"),
    [
        (classic(deployment="gpt-9"), body()),
        (V1.format(region="uksouth"), body(model="gpt-9")),
    ],
)
async def test_unknown_deployment_is_deployment_not_found(
    http: httpx.AsyncClient, url: str, request_body: dict[str, Any]
) -> None:
    response = await http.post(url, headers=HEADERS, json=request_body)

    assert response.status_code == 404
    error = response.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["code"] == "DeploymentNotFound"
    assert error["message"].startswith("The API deployment for this resource does not exist.")


@pytest.mark.parametrize("url", [classic("westeurope"), classic().partition("?")[0]])
async def test_unknown_region_or_missing_version_is_resource_not_found(http: httpx.AsyncClient, url: str) -> None:
    response = await http.post(url, headers=HEADERS, json=body())

    assert response.status_code == 404
    assert response.json() == {"error": {"code": "404", "message": "Resource not found"}}


async def test_filtered_prompt_is_a_400_with_the_filters_findings(http: httpx.AsyncClient) -> None:
    response = await http.post(
        classic(), headers=HEADERS, json=body(messages=[{"role": "user", "content": "[[refuse]]"}])
    )

    assert response.status_code == 400
    error = response.json()["error"]
    assert error["type"] is None
    assert error["param"] == "prompt"
    assert error["code"] == "content_filter"
    assert error["status"] == 400
    assert error["innererror"]["code"] == "ResponsibleAIPolicyViolation"
    assert error["innererror"]["content_filter_result"]["violence"] == {"filtered": True, "severity": "medium"}


async def test_filtered_output_ends_the_stream_with_content_filter(http: httpx.AsyncClient) -> None:
    request = body(messages=[{"role": "user", "content": "[[filter]]"}], stream=True)

    found = chunks((await http.post(classic(), headers=HEADERS, json=request)).text)

    (choice,) = found[-1]["choices"]
    assert choice["finish_reason"] == "content_filter"
    assert choice["content_filter_results"]["violence"]["filtered"] is True


async def test_model_rules_are_openais(http: httpx.AsyncClient) -> None:
    response = await http.post(classic(), headers=HEADERS, json=body(max_tokens=10))

    assert response.status_code == 400
    assert response.json()["error"]["code"] == "unsupported_parameter"


async def test_asynchronous_filter_has_a_say_after_the_finish_reason(http: httpx.AsyncClient) -> None:
    turn = {"role": "user", "content": "[[offsets]] Hello."}
    request = body(messages=[turn], stream=True, stream_options={"include_usage": True})

    found = chunks((await http.post(classic(), headers=HEADERS, json=request)).text)

    assert found[-3]["choices"][0]["finish_reason"] == "stop"
    (late,) = found[-2]["choices"]
    assert late["finish_reason"] is None
    assert "delta" not in late
    assert late["content_filter_offsets"]["end_offset"] > 0
    assert found[-1]["choices"] == []
