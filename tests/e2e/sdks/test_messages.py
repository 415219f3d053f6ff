"""Anthropic Messages through Anthropic's own clients: whichever vendor answers, the caller need not know."""

from typing import Any, Final

import anthropic
import pytest
from speaking import Vendor
from words import LEAK, MESSAGES_TOOL, ONE_CALL, PICTURE_URL, PIXEL, SAY, THINK, TWO_CALLS, Ticket, user

from allweather.contracts.slip import Capability, Parameter

pytestmark = pytest.mark.sdk("anthropic")
LIMIT: Final = 400
Claude = anthropic.AsyncAnthropic


def text(message: Any) -> str:
    """All that the message says."""
    return "".join(block.text for block in message.content if block.type == "text")


@pytest.mark.supports("Messages", "plain")
async def test_a_message_is_answered(claude: Claude, vendor: Vendor) -> None:
    message = await claude.messages.create(model=vendor.model, max_tokens=LIMIT, system="Be brief.", messages=user(SAY))

    assert text(message) == "It is mended."
    assert message.stop_reason == "end_turn"
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens > 0


@pytest.mark.supports("Messages", "stream")
async def test_a_message_is_streamed(claude: Claude, vendor: Vendor) -> None:
    stream = await claude.messages.create(model=vendor.model, max_tokens=LIMIT, messages=user(SAY), stream=True)
    kinds = [event.type async for event in stream]

    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert "content_block_delta" in kinds


@pytest.mark.supports("Messages", "stream: put together by `stream()`")
async def test_a_streamed_message_is_put_together(claude: Claude, vendor: Vendor) -> None:
    async with claude.messages.stream(model=vendor.model, max_tokens=LIMIT, messages=user(SAY)) as stream:
        message = await stream.get_final_message()

    assert text(message) == "It is mended."
    assert message.usage.output_tokens > 0


@pytest.mark.supports("Messages", "tools: call, result, answer")
async def test_a_tool_is_called_and_its_result_answered(claude: Claude, vendor: Vendor) -> None:
    messages = user(ONE_CALL)
    asked = await claude.messages.create(model=vendor.model, max_tokens=LIMIT, messages=messages, tools=[MESSAGES_TOOL])
    [call] = [block for block in asked.content if block.type == "tool_use"]
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "4 degrees and rain"}
    messages += [{"role": "assistant", "content": asked.content}, {"role": "user", "content": [result]}]
    told = await claude.messages.create(model=vendor.model, max_tokens=LIMIT, messages=messages, tools=[MESSAGES_TOOL])

    assert asked.stop_reason == "tool_use"
    assert (call.name, call.input) == ("get_weather", {"city": "Oslo"})
    assert "4 degrees" in text(told)


@pytest.mark.supports("Messages", "tools: streamed")
async def test_a_call_is_streamed(claude: Claude, vendor: Vendor) -> None:
    async with claude.messages.stream(
        model=vendor.model, max_tokens=LIMIT, messages=user(ONE_CALL), tools=[MESSAGES_TOOL]
    ) as stream:
        message = await stream.get_final_message()

    [call] = [block for block in message.content if block.type == "tool_use"]
    assert call.input == {"city": "Oslo"}
    assert message.stop_reason == "tool_use"


@pytest.mark.supports("Messages", "tools: in parallel")
async def test_two_tools_are_called_at_once(claude: Claude, vendor: Vendor) -> None:
    messages = user(TWO_CALLS)
    asked = await claude.messages.create(model=vendor.model, max_tokens=LIMIT, messages=messages, tools=[MESSAGES_TOOL])
    calls = [block for block in asked.content if block.type == "tool_use"]
    results = [
        {"type": "tool_result", "tool_use_id": call.id, "content": f"{n} degrees", "is_error": n == 1}
        for n, call in enumerate(calls)
    ]
    messages += [{"role": "assistant", "content": asked.content}, {"role": "user", "content": results}]
    told = await claude.messages.create(model=vendor.model, max_tokens=LIMIT, messages=messages, tools=[MESSAGES_TOOL])

    assert [call.input for call in calls] == [{"city": "Oslo"}, {"city": "Rome"}]
    assert "0 degrees" in text(told)


@pytest.mark.supports("Messages", "tools: at most one call")
async def test_only_one_tool_is_called_where_one_is_allowed(claude: Claude, vendor: Vendor) -> None:
    with vendor.asked(Parameter.SERIAL_TOOLS, field="tool_choice"):
        asked = await claude.messages.create(
            model=vendor.model,
            max_tokens=LIMIT,
            messages=user(TWO_CALLS),
            tools=[MESSAGES_TOOL],
            tool_choice={"type": "auto", "disable_parallel_tool_use": True},
        )

        assert len([block for block in asked.content if block.type == "tool_use"]) == 1


@pytest.mark.supports("Messages", "tool_choice: any, tool, none")
async def test_the_choice_of_a_tool_is_kept_to(claude: Claude, vendor: Vendor) -> None:
    choices: list[Any] = [{"type": "any"}, {"type": "tool", "name": "get_weather"}, {"type": "none"}]
    messages = [
        await claude.messages.create(
            model=vendor.model, max_tokens=LIMIT, messages=user(LEAK), tools=[MESSAGES_TOOL], tool_choice=choice
        )
        for choice in choices
    ]

    assert [[b.type for b in message.content].count("tool_use") for message in messages] == [1, 1, 0]


@pytest.mark.supports("Messages", "images: inline")
async def test_a_picture_is_seen(claude: Claude, vendor: Vendor) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    with vendor.asked(Capability.VISION, field="messages"):
        assert await _answer_to_picture(claude, vendor, source)


@pytest.mark.supports("Messages", "images: by URL")
async def test_a_picture_behind_a_url_is_seen(claude: Claude, vendor: Vendor) -> None:
    with vendor.asked(Capability.VISION, Parameter.IMAGE_URLS, field="messages"):
        assert await _answer_to_picture(claude, vendor, {"type": "url", "url": PICTURE_URL})


async def _answer_to_picture(claude: Claude, vendor: Vendor, source: Any) -> str:
    messages = user({"type": "text", "text": LEAK}, {"type": "image", "source": source})
    return text(await claude.messages.create(model=vendor.model, max_tokens=LIMIT, messages=messages))


@pytest.mark.supports("Messages", "thinking")
async def test_the_model_thinks_first(claude: Claude, vendor: Vendor) -> None:
    thinking: Any = {"type": "enabled", "budget_tokens": 1024}
    with vendor.asked(Capability.REASONING, field="thinking"):
        message = await claude.messages.create(
            model=vendor.model, max_tokens=2000, messages=user(THINK), thinking=thinking
        )

        assert text(message) == "Forty-two."
        assert message.usage.output_tokens > 100, "thoughts are billed"


@pytest.mark.supports("Messages", "thinking: streamed, and repeated in the next turn")
async def test_thoughts_are_repeated(claude: Claude, vendor: Vendor) -> None:
    thinking: Any = {"type": "enabled", "budget_tokens": 1024}
    with vendor.asked(Capability.REASONING, field="thinking"):
        messages = user(f"[[think 200]] {ONE_CALL}")
        asked: Any = {"model": vendor.model, "max_tokens": 2000, "tools": [MESSAGES_TOOL], "thinking": thinking}
        async with claude.messages.stream(**asked, messages=messages) as stream:
            called = await stream.get_final_message()
        [call] = [block for block in called.content if block.type == "tool_use"]
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "4 degrees and rain"}
        messages += [{"role": "assistant", "content": called.content}, {"role": "user", "content": [result]}]
        create: Any = claude.messages.create  # the fields come as one dictionary, not by overload
        told = await create(**asked, messages=messages)

        assert "4 degrees" in text(told)


@pytest.mark.supports("Messages", "structured output: `parse()`")
async def test_a_message_has_the_form_that_was_asked_for(claude: Claude, vendor: Vendor) -> None:
    with vendor.asked(Capability.JSON_SCHEMA, field="output_config"):
        message = await claude.messages.parse(
            model=vendor.model, max_tokens=LIMIT, messages=user(LEAK), output_format=Ticket
        )

        assert isinstance(message.parsed_output, Ticket)


@pytest.mark.supports("Messages", "stop_sequences")
async def test_a_message_ends_before_a_word(claude: Claude, vendor: Vendor) -> None:
    with vendor.asked(Parameter.STOP, field="stop_sequences"):
        message = await claude.messages.create(
            model=vendor.model, max_tokens=LIMIT, messages=user("[[say one two three]]"), stop_sequences=["three"]
        )

        assert text(message).strip() == "one two"


@pytest.mark.supports("Messages", "max_tokens")
async def test_a_message_is_cut_at_the_limit(claude: Claude, vendor: Vendor) -> None:
    message = await claude.messages.create(model=vendor.model, max_tokens=20, messages=user("[[long]]"))

    assert message.stop_reason == "max_tokens"


@pytest.mark.supports("Messages", "temperature (version 2023-06-01)")
async def test_the_older_version_takes_a_temperature(claude: Claude, vendor: Vendor) -> None:
    with vendor.asked(Parameter.TEMPERATURE, field="temperature"):
        message = await claude.messages.create(
            model=vendor.model,
            max_tokens=LIMIT,
            messages=user(SAY),
            extra_body={"temperature": 0.3},
            extra_headers={"anthropic-version": "2023-06-01"},
        )

        assert text(message) == "It is mended."


@pytest.mark.supports("Messages", "count_tokens")
async def test_tokens_are_counted(claude: Claude, vendor: Vendor) -> None:
    counted = await claude.messages.count_tokens(model=vendor.model, messages=user(LEAK))

    assert counted.input_tokens > 5


@pytest.mark.supports("Messages", "both versions, the key in either header")
@pytest.mark.parametrize("version", ["2023-06-01", "2026-10-21"])
async def test_the_key_comes_in_either_header(claude: Claude, vendor: Vendor, version: str) -> None:
    key = str(claude.api_key)
    for headers in ({"x-api-key": key}, {"authorization": f"Bearer {key}"}):
        async with anthropic.AsyncAnthropic(
            base_url=claude.base_url, api_key=None, auth_token=None, max_retries=0, default_headers=headers
        ) as client:
            message = await client.messages.create(
                model=vendor.model, max_tokens=LIMIT, messages=user(SAY), extra_headers={"anthropic-version": version}
            )

        assert text(message) == "It is mended."


@pytest.mark.supports("Messages", "errors: unknown model, wrong key, a sampling parameter in version 2026-10-21")
async def test_errors_are_those_of_the_api(claude: Claude) -> None:
    with pytest.raises(anthropic.NotFoundError, match="nothing"):
        await claude.messages.create(model="nothing", max_tokens=LIMIT, messages=user(LEAK))
    with pytest.raises(anthropic.AuthenticationError):
        await claude.messages.create(
            model="triage", max_tokens=LIMIT, messages=user(LEAK), extra_headers={"x-api-key": "wrong"}
        )
    with pytest.raises(anthropic.BadRequestError, match="temperature"):
        await claude.messages.create(
            model="triage", max_tokens=LIMIT, messages=user(LEAK), extra_body={"temperature": 1}
        )
