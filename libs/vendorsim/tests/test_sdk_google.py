"""The official Google SDK, unchanged, against the simulated Vertex AI."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.genai import Client, errors, types
from google.oauth2.credentials import Credentials
from pydantic import BaseModel

# The SDK derives its own class from aiohttp's session, which aiohttp discourages.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
FLASH, PRO = "gemini-3.5-flash", "gemini-3.1-pro-preview"
QUESTION = "My parcel did not arrive."


class Ticket(BaseModel):
    category: str
    urgency: str


@pytest.fixture
async def models(base_url: str) -> AsyncIterator[Any]:
    client = Client(
        vertexai=True,
        project="p-1",
        location="global",
        credentials=Credentials(token="ya29.test"),
        http_options=types.HttpOptions(base_url=f"{base_url}/vertex"),
    )
    async with client.aio as made:
        yield made.models


def tools(**more: Any) -> types.GenerateContentConfig:
    weather = types.FunctionDeclaration(
        name="get_weather",
        parameters=types.Schema(type=types.Type.OBJECT, properties={"city": types.Schema(type=types.Type.STRING)}),
    )
    disabled = types.AutomaticFunctionCallingConfig(disable=True)
    return types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[weather])], automatic_function_calling=disabled, **more
    )


def parts_of(chunks: list[Any]) -> list[Any]:
    found: list[Any] = []
    for chunk in chunks:
        found += chunk.candidates[0].content.parts or []
    return found


def said(text: str) -> types.Content:
    return types.Content(role="user", parts=[types.Part(text=text)])


async def test_stream_adds_up_to_the_plain_answer(models: Any) -> None:
    config = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True))
    plain = await models.generate_content(model=FLASH, contents=QUESTION, config=config)

    chunks = [
        each async for each in await models.generate_content_stream(model=FLASH, contents=QUESTION, config=config)
    ]

    parts = parts_of(chunks)
    assert "".join(part.text for part in parts if not part.thought) == plain.text
    assert [part.text for part in parts if part.thought] == [
        part.text for part in plain.candidates[0].content.parts if part.thought
    ]
    assert chunks[-1].usage_metadata.total_token_count == plain.usage_metadata.total_token_count
    assert plain.candidates[0].content.parts[-1].thought_signature
    assert parts[-1].thought_signature


@pytest.mark.parametrize(("model", "has_ids"), [(FLASH, False), (PRO, True)])
async def test_parallel_calls_come_whole_and_only_the_first_is_signed(models: Any, model: str, has_ids: bool) -> None:
    asked = '[[tool get_weather {"city": "Oslo"}]] [[tool get_weather {"city": "Rome"}]] How is it there?'

    chunks = [each async for each in await models.generate_content_stream(model=model, contents=asked, config=tools())]

    calls = [part for part in parts_of(chunks) if part.function_call]
    assert [part.function_call.args for part in calls] == [{"city": "Oslo"}, {"city": "Rome"}]
    assert [bool(part.thought_signature) for part in calls] == [True, False]
    assert [bool(part.function_call.id) for part in calls] == [has_ids, has_ids]
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP


async def test_tool_loop_goes_on_while_signatures_are_kept(models: Any) -> None:
    question = said("[[tool]] [[then]] [[tool]] [[then]] How is it there?")
    history = [question]
    for answer in ({"output": "Rain."}, {"error": "no such city"}):
        reply = await models.generate_content(model=FLASH, contents=history, config=tools())
        history.append(reply.candidates[0].content)
        told = types.Part.from_function_response(name="get_weather", response=answer)
        history.append(types.Content(role="user", parts=[told]))
    last = await models.generate_content(model=FLASH, contents=history, config=tools())

    assert "Rain.; it failed, no such city" in last.text


async def test_signature_is_missed_or_known_to_be_anothers(models: Any) -> None:
    question = said("[[tool]] How is it there?")
    reply = await models.generate_content(model=FLASH, contents=[question], config=tools())
    (part,) = reply.candidates[0].content.parts
    told = types.Part.from_function_response(name="get_weather", response={"output": "Rain."})

    async def go_on(signature: bytes | None, model: str = FLASH) -> Any:
        call = types.Part(function_call=part.function_call, thought_signature=signature)
        turns = [question, types.Content(role="model", parts=[call]), types.Content(role="user", parts=[told])]
        return await models.generate_content(model=model, contents=turns, config=tools())

    assert (await go_on(part.thought_signature)).text
    assert (await go_on(b"skip_thought_signature_validator")).text
    with pytest.raises(errors.ClientError, match=r"in the 2\. content block is missing a `thought_signature`"):
        await go_on(None)
    with pytest.raises(errors.ClientError, match="Corrupted thought signature"):
        await go_on(b"x" * 60)
    with pytest.raises(errors.ClientError, match="Corrupted thought signature"):
        await go_on(part.thought_signature, PRO)


async def test_schema_of_a_class_is_followed(models: Any) -> None:
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Ticket)

    answer = await models.generate_content(model=FLASH, contents=QUESTION, config=config)

    assert answer.parsed == Ticket(category="delivery", urgency="medium")


async def test_candidates_and_their_log_probabilities(models: Any) -> None:
    config = types.GenerateContentConfig(candidate_count=3, response_logprobs=True, logprobs=2)

    answer = await models.generate_content(model=FLASH, contents=QUESTION, config=config)

    assert len({candidate.content.parts[0].text for candidate in answer.candidates}) == 3
    odds = answer.candidates[0].logprobs_result
    assert "".join(each.token for each in odds.chosen_candidates) == answer.candidates[0].content.parts[0].text
    assert {len(each.candidates) for each in odds.top_candidates} == {2}


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ("[[filter]] Hello.", types.FinishReason.SAFETY),
        ("[[fail]] Hello.", types.FinishReason.MALFORMED_FUNCTION_CALL),
        ("[[malformed]] [[tool]] Hello.", types.FinishReason.MALFORMED_FUNCTION_CALL),
    ],
)
async def test_answer_says_why_it_ended(models: Any, asked: str, reason: types.FinishReason) -> None:
    answer = await models.generate_content(model=FLASH, contents=asked, config=tools())

    assert answer.candidates[0].finish_reason == reason


async def test_call_that_does_not_fit_the_limit_is_left_out(models: Any) -> None:
    config = tools(
        max_output_tokens=12, thinking_config=types.ThinkingConfig(thinking_level=types.ThinkingLevel.MINIMAL)
    )
    asked = '[[tool get_weather {"city": "a very long name of a very long city, and so on and so forth"}]]'

    answer = await models.generate_content(model=FLASH, contents=asked, config=config)

    assert answer.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS
    assert answer.candidates[0].content.parts is None


async def test_long_prompt_that_comes_again_is_cached(models: Any) -> None:
    turns = [said("Rules. " * 4000), types.Content(role="model", parts=[types.Part(text="Yes.")]), said("Hello.")]

    first = await models.generate_content(model=FLASH, contents=turns)
    second = await models.generate_content(model=FLASH, contents=[*turns[:2], said("And now?")])

    assert first.usage_metadata.cached_content_token_count is None
    assert second.usage_metadata.cached_content_token_count > 6000
    assert second.usage_metadata.cached_content_token_count < second.usage_metadata.prompt_token_count


async def test_tokens_are_counted_as_they_are_billed(models: Any) -> None:
    counted = await models.count_tokens(model=FLASH, contents=QUESTION)
    answer = await models.generate_content(model=FLASH, contents=QUESTION)

    assert counted.total_tokens == answer.usage_metadata.prompt_token_count


@pytest.mark.parametrize("model", ["gemini-embedding-001", "gemini-embedding-2"])
async def test_embeddings_have_as_many_dimensions_as_asked_for(models: Any, model: str) -> None:
    config = types.EmbedContentConfig(output_dimensionality=64)

    answer = await models.embed_content(model=model, contents="my parcel is late", config=config)

    assert len(answer.embeddings[0].values) == 64
