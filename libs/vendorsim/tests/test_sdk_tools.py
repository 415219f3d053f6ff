"""The official OpenAI SDK, unchanged: tools, schemas, choices and probabilities at every Chat Completions door."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI, BadRequestError
from pydantic import BaseModel

DOORS = ("openai", "azure", "azure-v1", "opensource")
MODELS = {"openai": "gpt-5.2", "azure": "gpt-5-2", "azure-v1": "gpt-5-2", "opensource": "openai/gpt-oss-120b"}
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
TWO = '[[tool get_weather {"city": "Oslo"}]] [[tool get_weather {"city": "Rome"}]] How is it there?'


class Ticket(BaseModel):
    category: str
    urgency: str


@pytest.fixture(params=DOORS)
async def door(request: pytest.FixtureRequest, base_url: str) -> AsyncIterator[tuple[AsyncOpenAI, str]]:
    if request.param == "azure":
        made: AsyncOpenAI = AsyncAzureOpenAI(
            azure_endpoint=f"{base_url}/azure/uksouth", api_key="test", api_version="2024-10-21", max_retries=0
        )
    else:
        paths = {"openai": "openai/v1", "azure-v1": "azure/uksouth/openai/v1", "opensource": "opensource/v1"}
        made = AsyncOpenAI(base_url=f"{base_url}/{paths[request.param]}", api_key="test", max_retries=0)
    async with made:
        yield made, MODELS[request.param]


async def ask(door: tuple[AsyncOpenAI, str], *turns: Any, **more: Any) -> Any:
    client, model = door
    create: Any = client.chat.completions.create
    messages = [{"role": "user", "content": turn} if isinstance(turn, str) else turn for turn in turns]
    return await create(model=model, messages=messages, **more)


async def test_parallel_calls_and_their_results(door: tuple[AsyncOpenAI, str]) -> None:
    first = (await ask(door, TWO, tools=[WEATHER])).choices[0]
    calls = first.message.tool_calls

    results = [{"role": "tool", "tool_call_id": call.id, "content": "Rain."} for call in calls]
    last = (await ask(door, TWO, first.message.model_dump(exclude_none=True), *results, tools=[WEATHER])).choices[0]

    assert first.finish_reason == "tool_calls"
    assert first.message.content is None
    assert [json.loads(call.function.arguments) for call in calls] == [{"city": "Oslo"}, {"city": "Rome"}]
    assert len({call.id for call in calls}) == 2
    assert last.finish_reason == "stop"
    assert "Rain.; Rain." in last.message.content


async def test_streamed_calls_are_no_json_until_their_end(door: tuple[AsyncOpenAI, str]) -> None:
    stream = await ask(door, f"[[say One moment.]] {TWO}", tools=[WEATHER], stream=True)
    choices: list[Any] = [choice async for chunk in stream for choice in chunk.choices]

    text = "".join(choice.delta.content or "" for choice in choices)
    pieces: list[Any] = []
    for choice in choices:
        pieces += choice.delta.tool_calls or []
    begun = [piece for piece in pieces if piece.id]
    assert text == "One moment."
    assert [(each.index, each.function.name, each.function.arguments) for each in begun] == [
        (0, "get_weather", ""),
        (1, "get_weather", ""),
    ]
    for index, city in enumerate(("Oslo", "Rome")):
        parts = [piece.function.arguments for piece in pieces if piece.index == index and not piece.id]
        assert len(parts) > 1
        assert json.loads("".join(parts)) == {"city": city}
        with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
            json.loads("".join(parts[:-1]))
    assert choices[-1].finish_reason == "tool_calls"


async def test_parallel_calls_can_be_switched_off(door: tuple[AsyncOpenAI, str]) -> None:
    answer = await ask(door, TWO, tools=[WEATHER], parallel_tool_calls=False)

    assert len(answer.choices[0].message.tool_calls) == 1


@pytest.mark.parametrize(
    ("choice", "calls", "finish"),
    [
        ("none", 0, "stop"),
        ("auto", 0, "stop"),
        ("required", 1, "tool_calls"),
        ({"type": "function", "function": {"name": "get_weather"}}, 1, "stop"),
    ],
)
async def test_choice_of_tools(door: tuple[AsyncOpenAI, str], choice: Any, calls: int, finish: str) -> None:
    answer = (await ask(door, "Hello.", tools=[WEATHER], tool_choice=choice)).choices[0]

    assert len(answer.message.tool_calls or []) == calls
    assert answer.finish_reason == finish


async def test_limit_cuts_a_call_in_its_middle(door: tuple[AsyncOpenAI, str]) -> None:
    asked = f'[[tool get_weather {{"city": "{"long " * 40}"}}]]'
    limit = {"max_tokens" if "oss" in door[1] else "max_completion_tokens": 12}

    answer = (await ask(door, asked, tools=[WEATHER], **limit)).choices[0]

    assert answer.finish_reason == "length"
    with pytest.raises(ValueError, match="Unterminated"):
        json.loads(answer.message.tool_calls[0].function.arguments)


async def test_parse_helper_reads_the_schemas_answer(door: tuple[AsyncOpenAI, str]) -> None:
    client, model = door
    answer = await client.chat.completions.parse(
        model=model, messages=[{"role": "user", "content": "My parcel did not arrive."}], response_format=Ticket
    )

    assert answer.choices[0].message.parsed == Ticket(category="delivery", urgency="medium")


async def test_several_choices_differ_and_are_billed(door: tuple[AsyncOpenAI, str]) -> None:
    one = await ask(door, "Hello.")
    three = await ask(door, "Hello.", n=3)
    stream = await ask(door, "Hello.", n=3, stream=True)
    texts = ["", "", ""]
    async for chunk in stream:
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""

    assert [choice.index for choice in three.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in three.choices}) == 3
    assert [choice.message.content for choice in three.choices] == texts
    assert three.usage.prompt_tokens == one.usage.prompt_tokens
    assert three.usage.completion_tokens > 2 * one.usage.completion_tokens


async def test_probabilities_belong_to_the_tokens(door: tuple[AsyncOpenAI, str]) -> None:
    plain = (await ask(door, "Hello.", logprobs=True, top_logprobs=2)).choices[0]
    stream = await ask(door, "Hello.", logprobs=True, top_logprobs=2, stream=True)
    streamed = [each async for chunk in stream for choice in chunk.choices if choice.logprobs
                for each in choice.logprobs.content]  # fmt: skip

    assert "".join(each.token for each in plain.logprobs.content) == plain.message.content
    assert all(bytes(each.bytes).decode() == each.token for each in plain.logprobs.content)
    assert {len(each.top_logprobs) for each in plain.logprobs.content} == {2}
    assert streamed == plain.logprobs.content


async def test_seed_gives_the_same_answer_again(door: tuple[AsyncOpenAI, str]) -> None:
    texts = [(await ask(door, "Hello.", seed=seed)).choices[0].message.content for seed in (1, 1, 2)]

    assert texts[0] == texts[1] != texts[2]


async def test_strict_schema_has_to_be_complete(base_url: str) -> None:
    loose: Any = json.loads(json.dumps(WEATHER))
    del loose["function"]["parameters"]["additionalProperties"]
    async with AsyncOpenAI(base_url=f"{base_url}/openai/v1", api_key="test") as client:
        with pytest.raises(BadRequestError, match="'additionalProperties' is required to be supplied") as refused:
            await ask((client, "gpt-5.2"), "Hello.", tools=[loose])

    assert refused.value.code == "invalid_function_parameters"
    assert refused.value.param == "tools[0].function.parameters"


async def test_open_model_thinks_aloud_when_it_is_told_to(base_url: str) -> None:
    async with AsyncOpenAI(base_url=f"{base_url}/opensource/v1", api_key="test") as client:
        door = (client, "openai/gpt-oss-120b")
        plain = await ask(door, "Hello.", reasoning_effort="low")
        stream = await ask(door, "Hello.", reasoning_effort="low", stream=True)
        streamed = "".join([getattr(chunk.choices[0].delta, "reasoning", "") async for chunk in stream])

    assert plain.choices[0].message.reasoning == streamed != ""
    assert plain.usage.completion_tokens > 64


async def test_open_model_without_a_parser_writes_its_call_into_the_text(base_url: str) -> None:
    async with AsyncOpenAI(base_url=f"{base_url}/opensource/v1", api_key="test") as client:
        answer = await ask((client, "openai/gpt-oss-120b"), "[[malformed]] [[tool]] Hello.", tools=[WEATHER])

    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].message.content.startswith('<tool_call>{"name": "get_weather"')


async def test_long_prompt_that_comes_again_is_cached(base_url: str) -> None:
    long = "Rules. " * 2000
    async with AsyncOpenAI(base_url=f"{base_url}/openai/v1", api_key="test") as client:
        door = (client, "gpt-5.2")
        first = await ask(door, {"role": "system", "content": long}, "Hello.")
        second = await ask(door, {"role": "system", "content": long}, "And now?")
        other = await ask(door, {"role": "system", "content": "!" + long}, "And now?")

    assert first.usage.prompt_tokens_details.cached_tokens == 0
    cached = second.usage.prompt_tokens_details.cached_tokens
    assert cached > 3000
    assert cached % 128 == 0
    assert cached < second.usage.prompt_tokens
    assert other.usage.prompt_tokens_details.cached_tokens == 0


async def test_reasoning_can_use_up_the_limit_and_leave_nothing_to_read(base_url: str) -> None:
    async with AsyncOpenAI(base_url=f"{base_url}/openai/v1", api_key="test") as client:
        answer = await ask((client, "gpt-5-mini"), "Hello.", max_completion_tokens=100)

    assert answer.choices[0].finish_reason == "length"
    assert answer.choices[0].message.content == ""
    assert answer.usage.completion_tokens_details.reasoning_tokens == 100
