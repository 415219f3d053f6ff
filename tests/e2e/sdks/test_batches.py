"""Files, batches and models: what no single vendor has a part in."""

import asyncio
import json
from typing import Any

import anthropic
import openai
import pytest
from matrix.cells import VENDORS
from words import SAY, user

MODELS = [f"only-{vendor}" for vendor in VENDORS]
OVER = {"completed", "failed", "expired", "cancelled"}


@pytest.mark.sdk("openai")
@pytest.mark.supports("Files and batches", "upload, create, poll, content: lines for every vendor")
async def test_a_batch_is_answered(gpt: openai.AsyncOpenAI) -> None:
    bodies: list[Any] = [{"model": model, "messages": user(SAY)} for model in MODELS * 5]
    good = len(bodies)
    content = _lines([*bodies, {"model": "nothing", "messages": []}], "/v1/chat/completions")
    file = await gpt.files.create(file=("in.jsonl", content), purpose="batch")
    created = await gpt.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"of": "tests"}
    )
    batch = await _over(gpt, created.id)
    output = [json.loads(line) for line in (await gpt.files.content(batch.output_file_id)).text.splitlines()]
    errors = [json.loads(line) for line in (await gpt.files.content(batch.error_file_id)).text.splitlines()]

    assert batch.status == "completed"
    assert batch.metadata == {"of": "tests"}
    assert batch.request_counts.to_dict() == {"total": good + 1, "completed": good, "failed": 1}
    assert {each["custom_id"] for each in output} == {f"n{n}" for n in range(good)}
    said = {each["response"]["body"]["choices"][0]["message"]["content"] for each in output}
    assert said == {"It is mended."}
    assert [each["custom_id"] for each in errors] == [f"n{good}"]


@pytest.mark.sdk("openai")
@pytest.mark.supports("Files and batches", "lines for Responses")
async def test_a_batch_of_responses_is_answered(gpt: openai.AsyncOpenAI) -> None:
    content = _lines([{"model": model, "input": SAY} for model in MODELS], "/v1/responses")
    file = await gpt.files.create(file=("in.jsonl", content), purpose="batch")
    created = await gpt.batches.create(input_file_id=file.id, endpoint="/v1/responses", completion_window="24h")
    batch = await _over(gpt, created.id)

    assert batch.request_counts.to_dict() == {"total": len(MODELS), "completed": len(MODELS), "failed": 0}


@pytest.mark.sdk("openai")
@pytest.mark.supports("Files and batches", "list, retrieve and delete files; list and cancel batches")
async def test_files_and_batches_are_kept_in_order(gpt: openai.AsyncOpenAI) -> None:
    content = _lines([{"model": "triage", "messages": user(SAY)}], "/v1/chat/completions")
    file = await gpt.files.create(file=("in.jsonl", content), purpose="batch")
    created = await gpt.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    await gpt.batches.cancel(created.id)
    batch = await _over(gpt, created.id)
    kept = [each.id async for each in gpt.files.list()]
    batches = [each.id async for each in gpt.batches.list()]
    found = await gpt.files.retrieve(file.id)
    await gpt.files.delete(file.id)

    assert batch.status in {"cancelled", "completed"}, "whichever came first"
    assert file.id in kept
    assert created.id in batches
    assert (found.filename, found.bytes) == ("in.jsonl", len(content))
    with pytest.raises(openai.NotFoundError):
        await gpt.files.retrieve(file.id)


@pytest.mark.sdk("openai")
@pytest.mark.supports("Models", "list, retrieve")
async def test_models_are_told(gpt: openai.AsyncOpenAI) -> None:
    names = [model.id async for model in gpt.models.list()]
    one = await gpt.models.retrieve("openai/gpt-oss-120b")

    assert {"triage", "gpt-5.2", "claude-haiku-4-5"} <= set(names)
    assert one.id == "openai/gpt-oss-120b"


@pytest.mark.sdk("anthropic")
@pytest.mark.supports("Message batches", "create, poll, results: lines for every vendor")
async def test_a_message_batch_is_answered(claude: anthropic.AsyncAnthropic) -> None:
    requests: list[Any] = [
        {"custom_id": f"n{n}", "params": {"model": model, "max_tokens": 100, "messages": user(SAY)}}
        for n, model in enumerate(MODELS * 2)
    ]
    batch: Any = await claude.messages.batches.create(requests=requests)
    async with asyncio.timeout(60):
        while batch.processing_status != "ended":
            await asyncio.sleep(0.05)
            batch = await claude.messages.batches.retrieve(batch.id)
    results = {each.custom_id: each.result async for each in await claude.messages.batches.results(batch.id)}
    listed = [each.id async for each in claude.messages.batches.list()]

    assert batch.request_counts.succeeded == len(requests)
    assert set(results) == {request["custom_id"] for request in requests}
    assert {_said(result) for result in results.values()} == {"It is mended."}
    assert batch.id in listed


@pytest.mark.sdk("anthropic")
@pytest.mark.supports("Models", "list, retrieve")
async def test_models_are_told_in_the_other_shape(claude: anthropic.AsyncAnthropic) -> None:
    names = [model.id async for model in claude.models.list()]
    one = await claude.models.retrieve("triage")

    assert {"triage", "gpt-5.2", "claude-haiku-4-5"} <= set(names)
    assert one.type == "model"


def _said(result: Any) -> str:
    return "".join(block.text for block in result.message.content if block.type == "text")


def _lines(bodies: list[Any], url: str) -> bytes:
    lines = [{"custom_id": f"n{n}", "method": "POST", "url": url, "body": body} for n, body in enumerate(bodies)]
    return "\n".join(map(json.dumps, lines)).encode()


async def _over(gpt: openai.AsyncOpenAI, batch_id: str) -> Any:
    """The batch, once it is over."""
    async with asyncio.timeout(60):
        while (batch := await gpt.batches.retrieve(batch_id)).status not in OVER:
            await asyncio.sleep(0.05)
    return batch
