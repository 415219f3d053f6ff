"""What each vendor refuses, in its own words: `refusals/` holds changes to a good request and the error they lead to.

The expectations are written out from documentation, recordings and issues.
"""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

HEADERS = {"authorization": "Bearer test", "anthropic-version": "2023-06-01"}
USER: Any = {"role": "user", "content": "Hello."}
GEMINI = "/vertex/v1/projects/p/locations/global/publishers/google/models/gemini-3.5-flash:generateContent"
GOOD: dict[str, tuple[str, dict[str, Any]]] = {
    "chat_completions": ("/openai/v1/chat/completions", {"model": "gpt-5.2", "messages": [USER]}),
    "responses": ("/openai/v1/responses", {"model": "gpt-5.2", "input": "Hello."}),
    "messages": ("/anthropic/v1/messages", {"model": "claude-haiku-4-5", "max_tokens": 100, "messages": [USER]}),
    "gemini": (GEMINI, {"contents": [{"role": "user", "parts": [{"text": "Hello."}]}]}),
    "vllm": ("/opensource/v1/chat/completions", {"model": "openai/gpt-oss-120b", "messages": [USER]}),
}


def refusals() -> list[Any]:
    found: list[Any] = []
    for name in GOOD:
        rows = json.loads((Path(__file__).parent / "refusals" / f"{name}.json").read_text())
        found += [pytest.param(name, row, id=f"{name}-{number}") for number, row in enumerate(rows)]
    return found


@pytest.mark.parametrize(("name", "row"), refusals())
async def test_request_is_refused_in_the_vendors_words(http: httpx.AsyncClient, name: str, row: Any) -> None:
    path, good = GOOD[name]

    response = await http.post(path, headers=HEADERS, json={**good, **row["changes"]})

    assert response.status_code == 400
    error = response.json()["error"]
    assert {member: error[member] for member in row["error"]} == row["error"]


@pytest.mark.parametrize("name", GOOD)
async def test_request_without_the_changes_is_answered(http: httpx.AsyncClient, name: str) -> None:
    path, good = GOOD[name]

    assert (await http.post(path, headers=HEADERS, json=good)).status_code == 200


async def test_model_that_does_not_reason_takes_what_the_others_refuse(http: httpx.AsyncClient) -> None:
    body = {"model": "gpt-4.1", "messages": [USER], "max_tokens": 50, "stop": ["zzz"], "temperature": 0.2}

    response = await http.post("/openai/v1/chat/completions", headers=HEADERS, json=body)

    assert response.status_code == 200
    assert response.json()["system_fingerprint"].startswith("fp_")


async def test_chat_model_makes_no_embeddings(http: httpx.AsyncClient) -> None:
    known = await http.post("/openai/v1/embeddings", headers=HEADERS, json={"model": "gpt-5.2", "input": "x"})
    unknown = await http.post("/openai/v1/embeddings", headers=HEADERS, json={"model": "gpt-9", "input": "x"})

    assert (known.status_code, unknown.status_code) == (403, 404)
    assert unknown.json()["error"]["code"] == "model_not_found"


@pytest.mark.parametrize(("region", "status"), [("uksouth", 200), ("centralus", 404)])
async def test_embeddings_are_deployed_in_some_azure_regions(http: httpx.AsyncClient, region: str, status: int) -> None:
    path = f"/azure/{region}/openai/deployments/text-embedding-3-large/embeddings?api-version=2024-10-21"

    response = await http.post(path, headers={"api-key": "k"}, json={"input": "x"})

    assert response.status_code == status


@pytest.mark.parametrize("cue", ["[[fail]]", "[[window]]"])
@pytest.mark.parametrize("door", ["openai", "azure", "opensource", "anthropic", "responses", "vertex"])
async def test_breakdown_and_overflow_have_each_vendors_form(http: httpx.AsyncClient, cue: str, door: str) -> None:
    turn = {"role": "user", "content": cue}
    asks: dict[str, tuple[str, dict[str, Any]]] = {
        "openai": ("/openai/v1/chat/completions", {"model": "gpt-5.2", "messages": [turn]}),
        "azure": ("/azure/uksouth/openai/v1/chat/completions", {"model": "gpt-5-2", "messages": [turn]}),
        "opensource": ("/opensource/v1/chat/completions", {"model": "openai/gpt-oss-120b", "messages": [turn]}),
        "anthropic": ("/anthropic/v1/messages", {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": [turn]}),
        "responses": ("/openai/v1/responses", {"model": "gpt-5.2", "input": cue}),
        "vertex": (
            "/vertex/v1/projects/p/locations/global/publishers/google/models/gemini-3.5-flash:generateContent",
            {"contents": [{"role": "user", "parts": [{"text": cue}]}]},
        ),
    }
    expected = {
        "[[fail]]": {"openai": 500, "azure": 500, "opensource": 200, "anthropic": 500, "responses": 200, "vertex": 200},
        "[[window]]": {
            "openai": 400,
            "azure": 400,
            "opensource": 400,
            "anthropic": 200,
            "responses": 400,
            "vertex": 400,
        },
    }
    path, body = asks[door]

    response = await http.post(path, headers={**HEADERS, "api-key": "k"}, json=body)

    assert response.status_code == expected[cue][door]
