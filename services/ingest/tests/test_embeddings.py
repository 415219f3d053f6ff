"""`POST /v1/embeddings`, as OpenAI's official SDK sees it."""

import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import openai
import pytest

from allweather.contracts import errors, headers
from allweather.contracts.embedding import Vectors
from allweather.contracts.slip import Dialect, Usage
from allweather.dialects.openai_embeddings import rendering
from allweather.ingest.testing import KEY, Site, Submitted

BODY: dict[str, Any] = {"model": "documents", "input": ["My machine leaks.", "The parcel is late."]}
VECTORS = Vectors("text-embedding-3-large", [[0.25, -0.5], [1.0, 0.0]], Usage(input_tokens=9))


@pytest.fixture
async def client(site: Site) -> AsyncGenerator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{site.base_url}/v1", api_key=KEY, max_retries=0, timeout=20) as sdk:
        yield sdk


async def answer(submitted: Submitted) -> None:
    """A pipeline that answers as it was asked: in numbers, or in their bytes."""
    encoding = submitted.body.get("encoding_format", "float")
    await submitted.reply(json.loads(rendering.render(VECTORS, encoding)), ai_cost_usd="0.0000012")


@pytest.mark.parametrize("encoding", [openai.omit, "float", "base64"])
async def test_the_sdk_gets_its_vectors(site: Site, client: openai.AsyncOpenAI, encoding: Any):
    """Asked for nothing, the SDK itself asks for bytes; and then shows numbers."""
    site.script = answer

    found = await client.embeddings.create(**BODY, encoding_format=encoding)

    assert found.usage.prompt_tokens == 9
    given = [each.embedding for each in found.data]
    assert given == (VECTORS.values if encoding != "base64" else [rendering.packed(v) for v in VECTORS.values])


async def test_the_caller_s_own_bytes_are_published_with_their_dialect(site: Site, http: httpx.AsyncClient):
    site.script = answer
    raw = b'{"model": "documents",  "input": [1, 2], "stream": true}'

    response = await http.post("/v1/embeddings", content=raw)

    assert response.status_code == 200
    assert response.headers["x-allweather-cost-usd"] == "0.0000012"
    (seen,) = site.seen
    assert seen.record.value == raw
    assert seen.record.text(headers.DIALECT) == "openai.embeddings"


async def test_a_refusal_of_the_pipeline_is_an_error_of_the_sdk(site: Site, client: openai.AsyncOpenAI):
    async def refuse(submitted: Submitted) -> None:
        error = errors.ApiError(400, "invalid_request_error", "invalid_value", "Empty.", "input")
        body = json.loads(errors.render(error, Dialect.OPENAI_EMBEDDINGS))
        await submitted.reply(body, status=400, outcome="invalid")

    site.script = refuse

    with pytest.raises(openai.BadRequestError) as caught:
        await client.embeddings.create(**BODY)

    assert (caught.value.code, caught.value.param) == ("invalid_value", "input")
