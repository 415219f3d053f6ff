"""Faults strike the other operations as they strike chat: the same list of faults, the same vendor's words."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from openai import APIError, AsyncOpenAI, RateLimitError

from allweather.vendorsim.client import Simulator
from allweather.vendorsim.faults import Cut, ErrorInStream, NoFinish, RateLimit, Status

HEADERS = {"authorization": "Bearer test", "anthropic-version": "2023-06-01"}
BATCH: Any = {"custom_id": "a", "params": {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": []}}
CALLS: list[tuple[str, str, str, Any]] = [
    ("openai", "POST", "/openai/v1/responses", {"model": "gpt-5.2", "input": "Hello."}),
    ("openai", "POST", "/openai/v1/embeddings", {"model": "text-embedding-3-small", "input": "Hello."}),
    ("openai", "GET", "/openai/v1/batches", None),
    ("openai", "GET", "/openai/v1/files", None),
    ("azure-openai", "POST", "/azure/uksouth/openai/v1/responses", {"model": "gpt-5-2", "input": "Hello."}),
    ("anthropic", "POST", "/anthropic/v1/messages/batches", {"requests": [BATCH]}),
    (
        "anthropic",
        "POST",
        "/anthropic/v1/messages/count_tokens",
        {"model": "claude-haiku-4-5", "messages": [{"role": "user", "content": "Hello."}]},
    ),
    (
        "vertex",
        "POST",
        "/vertex/v1/projects/p/locations/global/publishers/google/models/gemini-3.5-flash:countTokens",
        {"contents": [{"parts": [{"text": "Hello."}]}]},
    ),
    (
        "vertex",
        "POST",
        "/vertex/v1/projects/p/locations/global/publishers/google/models/gemini-embedding-001:predict",
        {"instances": [{"content": "Hello."}]},
    ),
]


@pytest.fixture
async def openai(base_url: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{base_url}/openai/v1", api_key="test", max_retries=0) as made:
        yield made


async def events(openai: AsyncOpenAI, into: list[Any]) -> None:
    stream = await openai.responses.create(model="gpt-5.2", input="Hello.", stream=True)
    async for event in stream:
        into.append(event)  # noqa: PERF401 - a comprehension would lose what came before an error


@pytest.mark.parametrize(("vendor", "method", "path", "body"), CALLS)
async def test_status_replaces_any_answer(
    http: httpx.AsyncClient, simulator: Simulator, vendor: Any, method: str, path: str, body: Any
) -> None:
    good = await http.request(method, path, headers={**HEADERS, "api-key": "k"}, json=body)
    await simulator.put_faults(Status(vendor=vendor, status=503))
    struck = await http.request(method, path, headers={**HEADERS, "api-key": "k"}, json=body)

    assert (good.status_code, struck.status_code) == (200, 503)
    assert "error" in struck.json()
    assert [call.status for call in await simulator.calls()] == [200, 503]


async def test_rate_limit_of_responses_is_openais(openai: AsyncOpenAI, simulator: Simulator) -> None:
    await simulator.put_faults(RateLimit(vendor="openai", retry_after=3))

    with pytest.raises(RateLimitError) as raised:
        await openai.responses.create(model="gpt-5.2", input="Hello.")

    assert raised.value.code == "rate_limit_exceeded"
    assert raised.value.response.headers["retry-after"] == "3"


async def test_error_in_a_responses_stream_goes_on_counting_and_fails_the_response(
    http: httpx.AsyncClient, simulator: Simulator
) -> None:
    """The code stands in the error event itself, or under `error`: both were seen, and both come here."""
    await simulator.put_faults(ErrorInStream(vendor="openai", after=2, status=500))
    shapes: set[bool] = set()
    for number in range(12):
        body = {"model": "gpt-5.2", "input": f"Hello {number}.", "stream": True}
        text = (await http.post("/openai/v1/responses", headers=HEADERS, json=body)).text
        found = [json.loads(block.split("data: ")[1]) for block in text.strip().split("\n\n")]
        assert [event["sequence_number"] for event in found] == list(range(len(found)))
        error, failed = found[-2:]
        assert (error["type"], failed["type"]) == ("error", "response.failed")
        assert failed["response"]["status"] == "failed"
        assert failed["response"]["id"] == found[0]["response"]["id"]
        told = error.get("error", error)
        assert told["code"] == "server_error"
        shapes.add("error" in error)

    assert shapes == {True, False}


async def test_sdk_raises_or_reports_an_error_in_a_responses_stream(openai: AsyncOpenAI, simulator: Simulator) -> None:
    await simulator.put_faults(ErrorInStream(vendor="openai", after=2, status=500))
    seen: list[Any] = []

    try:
        await events(openai, seen)
    except APIError:
        assert seen[-1].type == "response.output_text.delta"
    else:
        assert [event.type for event in seen[-2:]] == ["error", "response.failed"]


@pytest.mark.parametrize("fault", [Cut(vendor="openai", after=2), NoFinish(vendor="openai")])
async def test_responses_stream_that_breaks_off_has_no_end(
    openai: AsyncOpenAI, simulator: Simulator, fault: Cut | NoFinish
) -> None:
    await simulator.put_faults(fault)
    seen: list[Any] = []

    try:
        await events(openai, seen)
    except APIError:
        assert isinstance(fault, Cut)

    assert "response.completed" not in [event.type for event in seen]
    assert "response.output_text.delta" in [event.type for event in seen]
