"""Chat Completions through OpenAI's own clients: whichever vendor answers, the caller need not know."""

import json
from typing import Any

import openai
import pytest
from matrix.cells import VENDORS
from speaking import Vendor
from words import CHAT_TOOL, LEAK, ONE_CALL, PICTURE, PICTURE_URL, SAY, THINK, TWO_CALLS, Ticket, user

from allweather.contracts.slip import Capability, Parameter

pytestmark = pytest.mark.sdk("openai")
Gpt = openai.AsyncOpenAI


@pytest.mark.supports("Chat Completions", "plain")
async def test_a_question_is_answered(gpt: Gpt, vendor: Vendor) -> None:
    raw = await gpt.chat.completions.with_raw_response.create(model=vendor.model, messages=user(SAY))
    completion = raw.parse()

    assert completion.choices[0].message.content == "It is mended."
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage is not None
    assert completion.usage.total_tokens > completion.usage.completion_tokens > 0
    assert raw.headers["x-allweather-deployment"] == vendor.deployment
    assert float(raw.headers["x-allweather-cost-usd"]) > 0
    assert raw.headers["x-request-id"].startswith("req_")


@pytest.mark.supports("Chat Completions", "stream")
async def test_an_answer_is_streamed(gpt: Gpt, vendor: Vendor) -> None:
    stream = await gpt.chat.completions.create(model=vendor.model, messages=user(SAY), stream=True)
    chunks = [chunk async for chunk in stream]

    assert stream.response.headers["x-allweather-deployment"] == vendor.deployment
    assert stream.response.headers["x-request-id"].startswith("req_")
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == "It is mended."
    assert [c.finish_reason for chunk in chunks for c in chunk.choices if c.finish_reason] == ["stop"]
    assert all(chunk.usage is None for chunk in chunks)


@pytest.mark.supports("Chat Completions", "stream: include_usage")
async def test_a_stream_ends_with_its_counts(gpt: Gpt, vendor: Vendor) -> None:
    stream = await gpt.chat.completions.create(
        model=vendor.model, messages=user(SAY), stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]

    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0


@pytest.mark.supports("Chat Completions", "tools: call, result, answer")
async def test_a_tool_is_called_and_its_result_answered(gpt: Gpt, vendor: Vendor) -> None:
    messages = user(ONE_CALL)
    asked = await gpt.chat.completions.create(model=vendor.model, messages=messages, tools=[CHAT_TOOL])
    [call] = asked.choices[0].message.tool_calls or []
    result = {"role": "tool", "tool_call_id": call.id, "content": "4 degrees and rain"}
    messages += [asked.choices[0].message.to_dict(), result]
    told = await gpt.chat.completions.create(model=vendor.model, messages=messages, tools=[CHAT_TOOL])

    assert asked.choices[0].finish_reason == "tool_calls"
    assert call.type == "function"
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Oslo"})
    assert "4 degrees" in (told.choices[0].message.content or "")


@pytest.mark.supports("Chat Completions", "tools: streamed, put together by `stream()`")
async def test_a_streamed_call_is_put_together(gpt: Gpt, vendor: Vendor) -> None:
    async with gpt.chat.completions.stream(model=vendor.model, messages=user(ONE_CALL), tools=[CHAT_TOOL]) as stream:
        kinds = {event.type async for event in stream}
        completion = await stream.get_final_completion()

    [call] = completion.choices[0].message.tool_calls or []
    assert "tool_calls.function.arguments.done" in kinds
    assert call.function.parsed_arguments.model_dump() == {"city": "Oslo"}  # type: ignore[attr-defined]


@pytest.mark.supports("Chat Completions", "tools: in parallel")
async def test_two_tools_are_called_at_once(gpt: Gpt, vendor: Vendor) -> None:
    with vendor.asked(Capability.PARALLEL_TOOLS, field="parallel_tool_calls"):
        messages = user(TWO_CALLS)
        asked = await gpt.chat.completions.create(
            model=vendor.model, messages=messages, tools=[CHAT_TOOL], parallel_tool_calls=True
        )
        calls = asked.choices[0].message.tool_calls or []
        results = [{"role": "tool", "tool_call_id": call.id, "content": f"{n} degrees"} for n, call in enumerate(calls)]
        messages += [asked.choices[0].message.to_dict(), *results]
        told = await gpt.chat.completions.create(model=vendor.model, messages=messages, tools=[CHAT_TOOL])

        assert [json.loads(c.function.arguments)["city"] for c in calls if c.type == "function"] == ["Oslo", "Rome"]
        assert len({call.id for call in calls}) == 2
        assert "0 degrees" in (told.choices[0].message.content or "")
        assert "1 degrees" in (told.choices[0].message.content or "")


@pytest.mark.supports("Chat Completions", "tools: at most one call")
async def test_only_one_tool_is_called_where_one_is_allowed(gpt: Gpt, vendor: Vendor) -> None:
    with vendor.asked(Parameter.SERIAL_TOOLS, field="parallel_tool_calls"):
        asked = await gpt.chat.completions.create(
            model=vendor.model, messages=user(TWO_CALLS), tools=[CHAT_TOOL], parallel_tool_calls=False
        )

        assert len(asked.choices[0].message.tool_calls or []) == 1


@pytest.mark.supports("Chat Completions", "tool_choice: required, named, none")
async def test_the_choice_of_a_tool_is_kept_to(gpt: Gpt, vendor: Vendor) -> None:
    named: Any = {"type": "function", "function": {"name": "get_weather"}}
    choices: list[Any] = ["required", named, "none"]
    called = [
        (
            await gpt.chat.completions.create(
                model=vendor.model, messages=user(LEAK), tools=[CHAT_TOOL], tool_choice=choice
            )
        )
        .choices[0]
        .message.tool_calls
        for choice in choices
    ]

    assert [len(calls or []) for calls in called] == [1, 1, 0]


@pytest.mark.supports("Chat Completions", "tool_choice: allowed_tools")
async def test_only_allowed_tools_are_called(gpt: Gpt, vendor: Vendor) -> None:
    other = openai.pydantic_function_tool(Ticket, name="open_ticket")
    allowed: Any = {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "get_weather"}}]},
    }
    with vendor.asked(Parameter.ALLOWED_TOOLS, field="tool_choice"):
        asked = await gpt.chat.completions.create(
            model=vendor.model, messages=user(LEAK), tools=[other, CHAT_TOOL], tool_choice=allowed
        )

        [call] = asked.choices[0].message.tool_calls or []
        assert call.type == "function"
        assert call.function.name == "get_weather"


@pytest.mark.supports("Chat Completions", "images: inline")
async def test_a_picture_is_seen(gpt: Gpt, vendor: Vendor) -> None:
    with vendor.asked(Capability.VISION, field="messages"):
        assert await _answer_to_picture(gpt, vendor, PICTURE)


@pytest.mark.supports("Chat Completions", "images: by URL")
async def test_a_picture_behind_a_url_is_seen(gpt: Gpt, vendor: Vendor) -> None:
    with vendor.asked(Capability.VISION, Parameter.IMAGE_URLS, field="messages"):
        assert await _answer_to_picture(gpt, vendor, PICTURE_URL)


async def _answer_to_picture(gpt: Gpt, vendor: Vendor, url: str) -> str | None:
    messages = user({"type": "text", "text": LEAK}, {"type": "image_url", "image_url": {"url": url}})
    completion = await gpt.chat.completions.create(model=vendor.model, messages=messages)
    return completion.choices[0].message.content


@pytest.mark.supports("Chat Completions", "structured output: `parse()`")
async def test_an_answer_has_the_form_that_was_asked_for(gpt: Gpt, vendor: Vendor) -> None:
    with vendor.asked(Capability.JSON_SCHEMA, field="response_format"):
        completion = await gpt.chat.completions.parse(model=vendor.model, messages=user(LEAK), response_format=Ticket)

        assert isinstance(completion.choices[0].message.parsed, Ticket)


@pytest.mark.supports("Chat Completions", "structured output: streamed")
async def test_a_streamed_answer_has_the_form_that_was_asked_for(gpt: Gpt, vendor: Vendor) -> None:
    with vendor.asked(Capability.JSON_SCHEMA, field="response_format"):
        async with gpt.chat.completions.stream(
            model=vendor.model, messages=user(LEAK), response_format=Ticket
        ) as stream:
            completion = await stream.get_final_completion()

        assert isinstance(completion.choices[0].message.parsed, Ticket)


@pytest.mark.supports("Chat Completions", "structured output: json_object")
async def test_json_without_a_schema_is_asked_for(gpt: Gpt, vendor: Vendor) -> None:
    with vendor.asked(Parameter.JSON_OBJECT, field="response_format"):
        completion = await gpt.chat.completions.create(
            model=vendor.model, messages=user(f"In JSON: {LEAK}"), response_format={"type": "json_object"}
        )

        assert isinstance(json.loads(completion.choices[0].message.content or ""), dict)


@pytest.mark.supports("Chat Completions", "n")
async def test_two_answers_are_asked_for(gpt: Gpt, vendor: Vendor) -> None:
    with vendor.asked(Parameter.CHOICES, field="n"):
        completion = await gpt.chat.completions.create(model=vendor.model, messages=user(LEAK), n=2)

        assert [choice.index for choice in completion.choices] == [0, 1]
        assert all(choice.message.content for choice in completion.choices)


@pytest.mark.supports("Chat Completions", "stop")
async def test_an_answer_ends_before_a_word(gpt: Gpt, vendor: Vendor) -> None:
    with vendor.asked(Parameter.STOP, field="stop"):
        completion = await gpt.chat.completions.create(
            model=vendor.model, messages=user("[[say one two three]]"), stop=["three"]
        )

        assert (completion.choices[0].message.content or "").strip() == "one two"
        assert completion.choices[0].finish_reason == "stop"


@pytest.mark.supports("Chat Completions", "seed (best effort)")
async def test_a_seed_may_be_given(gpt: Gpt, vendor: Vendor) -> None:
    first = await gpt.chat.completions.create(model=vendor.model, messages=user(LEAK), seed=7)
    second = await gpt.chat.completions.create(model=vendor.model, messages=user(LEAK), seed=7)

    assert first.choices[0].message.content == second.choices[0].message.content


@pytest.mark.supports("Chat Completions", "max_completion_tokens")
async def test_an_answer_is_cut_at_the_limit(gpt: Gpt, vendor: Vendor) -> None:
    completion = await gpt.chat.completions.create(
        model=vendor.model, messages=user("[[long]]"), max_completion_tokens=20
    )

    assert completion.choices[0].finish_reason == "length"
    assert completion.usage is not None
    assert completion.usage.completion_tokens <= 20


@pytest.mark.supports("Chat Completions", "reasoning_effort")
async def test_the_model_thinks_first(gpt: Gpt, vendor: Vendor) -> None:
    with vendor.asked(Capability.REASONING, field="reasoning_effort"):
        completion = await gpt.chat.completions.create(
            model=vendor.model, messages=user(THINK), reasoning_effort="medium"
        )

        assert completion.choices[0].message.content == "Forty-two."
        assert completion.usage is not None
        assert completion.usage.completion_tokens > 100, "thoughts are counted, and by most vendors told apart"


@pytest.mark.supports("Chat Completions", "temperature, top_p")
async def test_sampling_is_asked_for(gpt: Gpt, vendor: Vendor) -> None:
    with vendor.asked(Parameter.TEMPERATURE, field="temperature"):
        by_heat = await gpt.chat.completions.create(model=vendor.model, messages=user(SAY), temperature=0.3)
        by_share = await gpt.chat.completions.create(model=vendor.model, messages=user(SAY), top_p=0.9)

        assert [c.choices[0].message.content for c in (by_heat, by_share)] == ["It is mended."] * 2


@pytest.mark.supports("Chat Completions", "temperature above 1")
async def test_much_variety_is_asked_for(gpt: Gpt, vendor: Vendor) -> None:
    with vendor.asked(Parameter.HIGH_TEMPERATURE, field="temperature"):
        completion = await gpt.chat.completions.create(model=vendor.model, messages=user(SAY), temperature=1.4)

        assert completion.choices[0].message.content


@pytest.mark.supports("Chat Completions", "presence_penalty, frequency_penalty")
async def test_repetition_is_made_dear(gpt: Gpt, vendor: Vendor) -> None:
    with vendor.asked(Parameter.PRESENCE_PENALTY, Parameter.FREQUENCY_PENALTY, field="presence_penalty"):
        completion = await gpt.chat.completions.create(
            model=vendor.model, messages=user(SAY), presence_penalty=0.5, frequency_penalty=0.5
        )

        assert completion.choices[0].message.content


@pytest.mark.supports("Chat Completions", "logprobs")
async def test_the_odds_of_each_token_are_told(gpt: Gpt, vendor: Vendor) -> None:
    with vendor.asked(Parameter.LOGPROBS, field="logprobs"):
        completion = await gpt.chat.completions.create(
            model=vendor.model, messages=user(SAY), logprobs=True, top_logprobs=2
        )

        assert completion.choices[0].logprobs is not None
        assert completion.choices[0].logprobs.content


@pytest.mark.supports("Chat Completions", "logit_bias")
async def test_a_token_is_made_unlikely(gpt: Gpt, vendor: Vendor) -> None:
    with vendor.asked(Parameter.LOGIT_BIAS, field="logit_bias"):
        completion = await gpt.chat.completions.create(
            model=vendor.model, messages=user(SAY), logit_bias={"1734": -100}
        )

        assert completion.choices[0].message.content


@pytest.mark.supports("Chat Completions", "verbosity")
async def test_a_short_answer_is_asked_for(gpt: Gpt, vendor: Vendor) -> None:
    with vendor.asked(Parameter.VERBOSITY, field="verbosity"):
        completion = await gpt.chat.completions.create(model=vendor.model, messages=user(SAY), verbosity="low")

        assert completion.choices[0].message.content


@pytest.mark.supports("Chat Completions", "what this vendor cannot be asked is the next one's")
async def test_a_field_that_the_first_cannot_be_asked_is_anothers(gpt: Gpt, vendor: Vendor) -> None:
    lacking = [wish for wish in WISHES if wish not in vendor.declares]
    raws = [
        await gpt.chat.completions.with_raw_response.create(
            model=vendor.first, messages=user(SAY), extra_body=WISHES[wish]
        )
        for wish in lacking
    ]

    assert lacking
    assert all(raw.headers["x-allweather-deployment"] != vendor.deployment for raw in raws)
    assert all(raw.parse().choices[0].message.content for raw in raws)


WISHES: dict[Parameter, dict[str, Any]] = {
    Parameter.CHOICES: {"n": 2},
    Parameter.STOP: {"stop": ["three"]},
    Parameter.LOGIT_BIAS: {"logit_bias": {"1734": -100}},
    Parameter.LOGPROBS: {"logprobs": True},
    Parameter.VERBOSITY: {"verbosity": "low"},
}


@pytest.mark.supports("Chat Completions", "a history with another vendor's calls")
async def test_a_conversation_is_gone_on_with_at_another_vendor(gpt: Gpt, vendor: Vendor) -> None:
    messages = user(ONE_CALL)
    elsewhere = await gpt.chat.completions.create(
        model=f"only-{ELSEWHERE[vendor.id]}", messages=messages, tools=[CHAT_TOOL], reasoning_effort="low"
    )
    [call] = elsewhere.choices[0].message.tool_calls or []
    result = {"role": "tool", "tool_call_id": call.id, "content": "4 degrees and rain"}
    messages += [elsewhere.choices[0].message.to_dict(), result]
    told = await gpt.chat.completions.create(model=vendor.model, messages=messages, tools=[CHAT_TOOL])

    assert "4 degrees" in (told.choices[0].message.content or "")


ELSEWHERE = dict(zip(VENDORS, (*VENDORS[1:], VENDORS[0]), strict=True))


@pytest.mark.supports("Chat Completions", "errors: unknown model, wrong key")
async def test_errors_are_those_of_the_api(gpt: Gpt) -> None:
    with pytest.raises(openai.NotFoundError, match="nothing"):
        await gpt.chat.completions.create(model="nothing", messages=user(LEAK))
    with pytest.raises(openai.AuthenticationError):
        await gpt.chat.completions.create(
            model="triage", messages=user(LEAK), extra_headers={"authorization": "Bearer wrong"}
        )
