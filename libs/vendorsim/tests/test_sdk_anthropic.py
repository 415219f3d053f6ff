"""The official Anthropic SDK, unchanged, against the simulated vendor."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from anthropic import AsyncAnthropic, BadRequestError
from anthropic.types import Message, TextBlock, ThinkingBlock, ToolUseBlock

QUESTION = "My invoice shows a charge that I do not know."
WEATHER: Any = {
    "name": "get_weather",
    "description": "Tell the weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


@pytest.fixture
async def client(base_url: str) -> AsyncIterator[AsyncAnthropic]:
    async with AsyncAnthropic(base_url=f"{base_url}/anthropic", api_key="test", max_retries=0) as made:
        yield made


def user(text: str) -> Any:
    return {"role": "user", "content": text}


def result(block: ToolUseBlock, content: Any = "Rain.", **more: Any) -> Any:
    return {"type": "tool_result", "tool_use_id": block.id, "content": content, **more}


async def message(client: AsyncAnthropic, **ask: Any) -> Message:
    create: Any = client.messages.create
    return await create(**ask)


def calls_of(message: Message) -> list[ToolUseBlock]:
    return [block for block in message.content if isinstance(block, ToolUseBlock)]


async def test_stream_adds_up_to_the_plain_message(client: AsyncAnthropic) -> None:
    ask: Any = {
        "model": "claude-sonnet-4-6",
        "max_tokens": 2000,
        "thinking": {"type": "adaptive"},
        "tools": [WEATHER],
        "messages": [user('[[say One moment.]] [[tool get_weather {"city": "Oslo"}]] [[tool]] How is it there?')],
    }
    plain = await message(client, **ask)

    stream_of: Any = client.messages.stream
    async with stream_of(**ask) as stream:
        final: Message = await stream.get_final_message()

    assert [block.type for block in plain.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert [block.type for block in final.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert plain.stop_reason == final.stop_reason == "tool_use"
    assert [call.input for call in calls_of(final)] == [call.input for call in calls_of(plain)]
    assert plain.usage.output_tokens == final.usage.output_tokens


async def test_tool_loop_goes_on_with_results_errors_and_thinking(client: AsyncAnthropic) -> None:
    question = user("[[tool]] [[tool]] [[then]] [[tool]] [[then]] How is it there?")
    ask: Any = {"model": "claude-haiku-4-5", "max_tokens": 3000, "tools": [WEATHER]}
    ask["thinking"] = {"type": "enabled", "budget_tokens": 1024}

    first = await message(client, **ask, messages=[question])
    one, other = calls_of(first)
    history: list[Any] = [question, {"role": "assistant", "content": first.content}]
    history.append({"role": "user", "content": [result(one), result(other, "no such city", is_error=True)]})
    second = await message(client, **ask, messages=history)
    (third_call,) = calls_of(second)
    history.append({"role": "assistant", "content": second.content})
    history.append({"role": "user", "content": [result(third_call, [{"type": "text", "text": "Sun."}])]})
    last = await message(client, **ask, messages=history)

    text = next(block.text for block in last.content if isinstance(block, TextBlock))
    assert last.stop_reason == "end_turn"
    assert "Rain.; it failed, no such city; Sun." in text


async def test_thinking_that_was_changed_or_left_out_is_refused(client: AsyncAnthropic) -> None:
    question = user("[[tool]] How is it there?")
    ask: Any = {"model": "claude-haiku-4-5", "max_tokens": 3000, "tools": [WEATHER]}
    ask["thinking"] = {"type": "enabled", "budget_tokens": 1024}
    first = await message(client, **ask, messages=[question])
    thinking, call = first.content
    assert isinstance(thinking, ThinkingBlock)
    assert isinstance(call, ToolUseBlock)

    async def go_on(*blocks: Any) -> Message:
        turns = [question, {"role": "assistant", "content": blocks}, {"role": "user", "content": [result(call)]}]
        return await message(client, **ask, messages=turns)

    assert (await go_on(thinking, call)).stop_reason == "end_turn"
    with pytest.raises(BadRequestError, match=r"messages\.1\.content\.0: Invalid `signature` in `thinking` block"):
        await go_on(thinking.model_copy(update={"thinking": "Something else."}), call)
    with pytest.raises(BadRequestError, match="Expected `thinking` or `redacted_thinking`, but found `tool_use`"):
        await go_on(call)


async def test_redacted_and_omitted_thinking_come_back_as_they_went(client: AsyncAnthropic) -> None:
    ask: Any = {"model": "claude-opus-4-6", "max_tokens": 3000, "thinking": {"type": "adaptive", "display": "omitted"}}
    question = user("[[redacted]] Hello.")
    first = await message(client, **ask, messages=[question])
    shown, redacted, _ = first.content
    assert (shown.type, redacted.type) == ("thinking", "redacted_thinking")
    assert isinstance(shown, ThinkingBlock)
    assert shown.thinking == ""
    assert shown.signature

    turns: list[Any] = [question, {"role": "assistant", "content": first.content}, user("Go on.")]
    assert await message(client, **ask, messages=turns)
    forged = [shown, {"type": "redacted_thinking", "data": "forged"}, first.content[2]]
    with pytest.raises(BadRequestError, match="Invalid `data` in `redacted_thinking` block"):
        await message(client, **ask, messages=[question, {"role": "assistant", "content": forged}, user("On.")])


async def test_length_stop_can_cut_a_tool_call(client: AsyncAnthropic) -> None:
    asked = '[[tool get_weather {"city": "Oslo", "street": "a very long name of a very long street", "no": 12}]]'
    ask: Any = {"model": "claude-haiku-4-5", "max_tokens": 14, "tools": [WEATHER], "messages": [user(asked)]}

    plain = await message(client, **ask)
    create: Any = client.messages.create
    events: list[Any] = [event async for event in await create(**ask, stream=True)]

    deltas = [event.delta for event in events if event.type == "content_block_delta"]
    pieces = [delta.partial_json for delta in deltas if delta.type == "input_json_delta"]
    assert plain.stop_reason == "max_tokens"
    assert [call.input for call in calls_of(plain)] == [{"city": "Oslo"}]
    assert "".join(pieces).startswith('{"city":"Oslo","street":"a very')
    assert not "".join(pieces).endswith("}")


async def test_breakpoint_is_written_once_and_then_read(client: AsyncAnthropic) -> None:
    system: Any = [{"type": "text", "text": "Rules. " * 4000, "cache_control": {"type": "ephemeral", "ttl": "1h"}}]

    async def ask(question: str) -> Message:
        return await client.messages.create(
            model="claude-sonnet-4-6", max_tokens=100, system=system, messages=[user(question)]
        )

    first, second = (await ask("Hello.")).usage, (await ask("And now?")).usage

    assert first.cache_creation is not None
    assert first.cache_creation_input_tokens == first.cache_creation.ephemeral_1h_input_tokens
    assert first.cache_creation_input_tokens is not None
    assert first.cache_creation_input_tokens > 6000
    assert first.cache_read_input_tokens == 0
    assert second.cache_creation_input_tokens == 0
    assert second.cache_read_input_tokens is not None
    assert abs(second.cache_read_input_tokens - first.cache_creation_input_tokens) < 20
    assert second.input_tokens < 100


async def test_prefix_that_is_too_short_runs_uncached(client: AsyncAnthropic) -> None:
    system: Any = [{"type": "text", "text": "Rules. " * 900, "cache_control": {"type": "ephemeral"}}]

    answers = [
        await client.messages.create(model=model, max_tokens=10, system=system, messages=[user("Hello.")])
        for model in ("claude-haiku-4-5", "claude-sonnet-4-6")
    ]

    assert [bool(answer.usage.cache_creation_input_tokens) for answer in answers] == [False, True]


async def test_tokens_are_counted_as_they_are_billed(client: AsyncAnthropic) -> None:
    ask: Any = {"model": "claude-haiku-4-5", "tools": [WEATHER], "messages": [user(QUESTION)], "system": "Be brief."}

    count: Any = client.messages.count_tokens
    counted = await count(**ask)
    answer = await message(client, **ask, max_tokens=100)

    assert counted.input_tokens == answer.usage.input_tokens


async def test_output_follows_the_schema(client: AsyncAnthropic) -> None:
    schema: Any = {
        "type": "object",
        "properties": {"category": {"enum": ["billing", "other"]}},
        "required": ["category"],
        "additionalProperties": False,
    }

    answer = await message(
        client,
        model="claude-haiku-4-5",
        max_tokens=100,
        messages=[user(QUESTION)],
        output_config={"format": {"type": "json_schema", "schema": schema}},
    )

    assert isinstance(answer.content[0], TextBlock)
    assert answer.content[0].text == '{"category":"billing"}'


@pytest.mark.parametrize(
    ("cue", "reason"),
    [
        ("[[refuse]]", "refusal"),
        ("[[filter]]", "refusal"),
        ("[[window]]", "model_context_window_exceeded"),
        ("[[pause]]", "pause_turn"),
    ],
)
async def test_message_says_why_it_ended(client: AsyncAnthropic, cue: str, reason: str) -> None:
    answer = await client.messages.create(model="claude-haiku-4-5", max_tokens=100, messages=[user(f"{cue} Hello.")])

    assert answer.stop_reason == reason


async def test_batch_ends_with_a_result_for_each_request(client: AsyncAnthropic) -> None:
    def ask(number: int, **changes: Any) -> Any:
        params = {"model": "claude-haiku-4-5", "max_tokens": 50, "messages": [user(f"Ticket {number}")], **changes}
        return {"custom_id": f"r{number}", "params": params}

    batch = await client.messages.batches.create(requests=[ask(0), ask(1, max_tokens=-1), ask(2)])
    assert batch.request_counts.processing == 3
    while batch.processing_status != "ended":
        await asyncio.sleep(0.01)
        batch = await client.messages.batches.retrieve(batch.id)

    results = {each.custom_id: each.result async for each in await client.messages.batches.results(batch.id)}
    assert (batch.request_counts.succeeded, batch.request_counts.errored, batch.request_counts.processing) == (2, 1, 0)
    assert {name: each.type for name, each in results.items()} == {
        "r0": "succeeded",
        "r1": "errored",
        "r2": "succeeded",
    }
    assert results["r0"].type == "succeeded"
    assert results["r0"].message.usage.service_tier == "batch"
    assert list(results) != sorted(results), "results come in no order"


async def test_models_are_listed(client: AsyncAnthropic) -> None:
    models = [model.id async for model in client.models.list()]

    assert "claude-sonnet-4-6" in models
