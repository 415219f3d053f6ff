"""Vectors through every door: the official SDK, the Kafka topic and a batch, with a vendor that fails in between."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import openai

from allweather.contracts import headers, topics
from allweather.dialects.openai_embeddings import rendering
from allweather.drills.stage import TENANT, Stage
from allweather.messaging import Message
from allweather.vendorsim.faults import Status

TEXTS = ["My espresso machine leaks.", "Where is my parcel?"]
LENGTH = 3072


def in_sync(base_url: str, key: str, encoding: Any) -> list[Any]:
    with openai.OpenAI(base_url=base_url, api_key=key, max_retries=0, timeout=60) as client:
        found = client.embeddings.create(model="documents", input=TEXTS, encoding_format=encoding)
    return [each.embedding for each in found.data]


async def test_the_sdk_gets_the_same_vectors_in_every_form_and_from_every_vendor_of_the_model(on: Stage) -> None:
    base_url, key = str(on.sdk.base_url), on.system.credentials.key_of(TENANT)

    numbers = await on.sdk.embeddings.create(model="documents", input=TEXTS, encoding_format="float")
    usual = await on.sdk.embeddings.create(model="documents", input=TEXTS)
    packed = await asyncio.to_thread(in_sync, base_url, key, "base64")
    await on.simulator.put_faults(Status(vendor="openai", operation="embeddings", status=500))
    raw = await on.sdk.embeddings.with_raw_response.create(model="documents", input=TEXTS, encoding_format="float")
    elsewhere = await asyncio.to_thread(in_sync, base_url, key, "float")

    vectors = [each.embedding for each in numbers.data]
    assert [len(vector) for vector in vectors] == [LENGTH, LENGTH]
    assert numbers.usage.prompt_tokens > 0
    assert [_rounded(each.embedding) for each in usual.data] == [_rounded(v) for v in vectors]
    assert [_rounded(rendering.unpacked(text)) for text in packed] == [_rounded(v) for v in vectors]
    assert raw.headers["x-allweather-deployment"].startswith("azure-openai/text-embedding-3-large/")
    assert float(raw.headers["x-allweather-cost-usd"]) > 0
    assert [each.embedding for each in raw.parse().data] == elsewhere == vectors


async def test_a_record_asks_for_vectors_by_its_dialect(on: Stage) -> None:
    key = f"vectors-{uuid4()}"
    body = json.dumps({"model": "BAAI/bge-m3", "input": TEXTS}).encode()
    given = {headers.CE_ID: key.encode(), headers.DIALECT: b"openai.embeddings", headers.CORRELATION_ID: key.encode()}

    await on.broker.publisher.publish([Message(topics.requests(TENANT), body, key.encode(), tuple(given.items()))])

    async with asyncio.timeout(20):
        while (reply := await _reply(on, key.encode())) is None:
            await asyncio.sleep(0.1)
    assert [len(each["embedding"]) for each in json.loads(reply)["data"]] == [1024, 1024]


async def _reply(on: Stage, correlation: bytes) -> bytes | None:
    async for record in on.broker.read_all([topics.replies(TENANT)]):
        if record.header(headers.CORRELATION_ID) == correlation:
            return record.value
    return None


async def test_a_batch_makes_vectors_and_tells_what_it_cannot(on: Stage) -> None:
    """The Gemini models make vectors as well; none of them reads another vendor's tokens."""
    lines = [_line("text", "gemini-embedding-001", TEXTS[0]), _line("tokens", "gemini-embedding-001", [9906, 1917])]
    file = await on.sdk.files.create(file=("in.jsonl", "\n".join(lines).encode()), purpose="batch")

    batch = await on.sdk.batches.create(input_file_id=file.id, endpoint="/v1/embeddings", completion_window="24h")
    async with asyncio.timeout(60):
        while batch.status not in ("completed", "failed"):
            await asyncio.sleep(0.1)
            batch = await on.sdk.batches.retrieve(batch.id)

    assert batch.output_file_id is not None
    assert batch.error_file_id is not None
    answered = json.loads((await on.sdk.files.content(batch.output_file_id)).text)
    refused = json.loads((await on.sdk.files.content(batch.error_file_id)).text)
    assert (answered["custom_id"], len(answered["response"]["body"]["data"][0]["embedding"])) == ("text", LENGTH)
    assert (refused["custom_id"], refused["response"]["body"]["error"]["param"]) == ("tokens", "input")


def _line(name: str, model: str, given: Any) -> str:
    body = {"model": model, "input": given}
    return json.dumps({"custom_id": name, "method": "POST", "url": "/v1/embeddings", "body": body})


def _rounded(vector: Any) -> list[float]:
    """What 32 bits keep of the numbers."""
    return [round(value, 6) for value in vector]
