"""The official OpenAI SDK, unchanged, against the three doors it can talk to."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from openai import (
    APIError,
    AsyncAzureOpenAI,
    AsyncOpenAI,
    AsyncStream,
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    RateLimitError,
)
from openai.types.chat import ChatCompletionChunk

from allweather.vendorsim.client import Simulator
from allweather.vendorsim.faults import ErrorInStream, Quota, RateLimit

QUESTION = "The zip of my jacket is broken after two weeks."
DOORS = ("openai", "azure", "azure-v1", "opensource")


@asynccontextmanager
async def sdk(base_url: str, door: str, key: str = "sk-test") -> AsyncGenerator[tuple[AsyncOpenAI, str]]:
    """Yield a client without retries, and the model to ask for."""
    if door == "azure":
        client = AsyncAzureOpenAI(
            base_url=f"{base_url}/azure/swedencentral/openai/deployments/gpt-5-2",
            api_key=key,
            api_version="2024-10-21",
            max_retries=0,
        )
    else:
        paths = {"openai": "openai/v1", "azure-v1": "azure/swedencentral/openai/v1", "opensource": "opensource/v1"}
        client = AsyncOpenAI(base_url=f"{base_url}/{paths[door]}", api_key=key, max_retries=0)
    models = {"openai": "gpt-5.2", "azure": "gpt-5-2", "azure-v1": "gpt-5-2", "opensource": "openai/gpt-oss-120b"}
    async with client:
        yield client, models[door]


@pytest.mark.parametrize("door", DOORS)
async def test_sdk_reads_a_plain_answer(base_url: str, door: str) -> None:
    async with sdk(base_url, door) as (client, model):
        answer = await client.chat.completions.create(model=model, messages=[{"role": "user", "content": QUESTION}])

    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert answer.usage.completion_tokens > 0


@pytest.mark.parametrize("door", DOORS)
async def test_sdk_reads_a_stream_with_its_usage(base_url: str, door: str) -> None:
    async with sdk(base_url, door) as (client, model):
        stream = await client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": QUESTION}],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]

    finishes = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert finishes == ["stop"]
    assert text
    assert chunks[-1].usage is not None


@pytest.mark.parametrize("door", DOORS)
async def test_sdk_raises_authentication_error_for_a_bad_key(base_url: str, door: str) -> None:
    async with sdk(base_url, door, key="invalid") as (client, model):
        with pytest.raises(AuthenticationError):
            await client.chat.completions.create(model=model, messages=[{"role": "user", "content": QUESTION}])


@pytest.mark.parametrize("door", ["openai", "azure-v1", "opensource"])
async def test_sdk_raises_not_found_for_an_unknown_model(base_url: str, door: str) -> None:
    async with sdk(base_url, door) as (client, _):
        with pytest.raises(NotFoundError):
            await client.chat.completions.create(model="gpt-9", messages=[{"role": "user", "content": QUESTION}])


async def test_sdk_sees_azures_content_filter(base_url: str) -> None:
    async with sdk(base_url, "azure") as (client, model):
        with pytest.raises(BadRequestError) as raised:
            await client.chat.completions.create(model=model, messages=[{"role": "user", "content": "[[refuse]]"}])

    assert raised.value.code == "content_filter"


async def test_sdk_tells_quota_from_rate_limit(base_url: str, simulator: Simulator) -> None:
    codes: list[str | None] = []
    async with sdk(base_url, "openai") as (client, model):
        for fault in (RateLimit(vendor="openai", retry_after=2), Quota(vendor="openai")):
            await simulator.put_faults(fault)
            with pytest.raises(RateLimitError) as raised:
                await client.chat.completions.create(model=model, messages=[{"role": "user", "content": QUESTION}])
            codes.append(raised.value.code)

    assert codes == ["rate_limit_exceeded", "insufficient_quota"]


@pytest.mark.parametrize("door", ["openai", "azure", "opensource"])
async def test_sdk_raises_on_an_error_in_mid_stream(base_url: str, simulator: Simulator, door: str) -> None:
    await simulator.put_faults(ErrorInStream(after=3))
    seen: list[ChatCompletionChunk] = []
    async with sdk(base_url, door) as (client, model):
        stream = await client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": QUESTION}], stream=True
        )
        with pytest.raises(APIError):
            await read_into(seen, stream)

    assert sum(any(choice.delta.content for choice in chunk.choices) for chunk in seen) == 3


async def read_into(seen: list[ChatCompletionChunk], stream: AsyncStream[ChatCompletionChunk]) -> None:
    """Read a stream to its end, keeping what came before an error."""
    async for chunk in stream:
        seen.append(chunk)  # noqa: PERF401 - a comprehension would lose what came before the error
