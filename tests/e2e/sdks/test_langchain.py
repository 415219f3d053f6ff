"""LangChain's own clients at the doors. The package is imported when the first test asks: that takes seconds."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from speaking import Door, Vendor
from words import LEAK, ONE_CALL, SAY, GetWeather, Ticket

from allweather.contracts.slip import Capability, Parameter

if TYPE_CHECKING:
    from langchain_anthropic import ChatAnthropic
    from langchain_openai import ChatOpenAI

Gpt = Callable[..., "ChatOpenAI"]
Claude = Callable[..., "ChatAnthropic"]


@pytest.fixture(scope="session")
def openai_chat(door: Door) -> Gpt:
    from langchain_openai import ChatOpenAI

    made: Any = ChatOpenAI  # its fields have aliases that a type checker does not see
    return partial(made, base_url=f"{door.url}/v1", api_key=door.key, max_retries=0)


@pytest.fixture(scope="session")
def anthropic_chat(door: Door) -> Claude:
    from langchain_anthropic import ChatAnthropic

    made: Any = ChatAnthropic  # its fields have aliases that a type checker does not see
    return partial(made, base_url=door.url, api_key=door.key, max_retries=0, max_tokens=400)


async def answers(chat: Any) -> None:
    whole = await chat.ainvoke(SAY)
    streamed = [chunk async for chunk in chat.astream(SAY)]

    assert whole.text == "It is mended."
    assert whole.usage_metadata["output_tokens"] > 0
    assert "".join(chunk.text for chunk in streamed) == "It is mended."


async def uses_tools(chat: Any) -> None:
    with_tools = chat.bind_tools([GetWeather])
    question: list[Any] = [("user", ONE_CALL.replace("get_weather", "GetWeather"))]
    asked = await with_tools.ainvoke(question)
    [call] = asked.tool_calls
    result = {"role": "tool", "tool_call_id": call["id"], "content": "4 degrees and rain"}
    told = await with_tools.ainvoke([*question, asked, result])

    assert (call["name"], call["args"]) == ("GetWeather", {"city": "Oslo"})
    assert "4 degrees" in told.text


async def keeps_to_a_form(chat: Any, **how: Any) -> None:
    assert isinstance(await chat.with_structured_output(Ticket, **how).ainvoke(LEAK), Ticket)


@pytest.mark.sdk("langchain-openai")
@pytest.mark.supports("Chat Completions", "invoke, stream")
async def test_chat_answers(openai_chat: Gpt, vendor: Vendor) -> None:
    await answers(openai_chat(model=vendor.model))


@pytest.mark.sdk("langchain-openai")
@pytest.mark.supports("Chat Completions", "bind_tools")
async def test_chat_uses_tools(openai_chat: Gpt, vendor: Vendor) -> None:
    await uses_tools(openai_chat(model=vendor.model))


@pytest.mark.sdk("langchain-openai")
@pytest.mark.supports("Chat Completions", "with_structured_output: by schema")
async def test_chat_keeps_to_a_form(openai_chat: Gpt, vendor: Vendor) -> None:
    with vendor.asked(Capability.JSON_SCHEMA, field="response_format"):
        await keeps_to_a_form(openai_chat(model=vendor.model), method="json_schema")


@pytest.mark.sdk("langchain-openai")
@pytest.mark.supports("Chat Completions", "with_structured_output: by tool")
async def test_chat_keeps_to_a_form_by_calling_a_tool(openai_chat: Gpt, vendor: Vendor) -> None:
    with vendor.asked(Parameter.SERIAL_TOOLS, field="parallel_tool_calls"):
        await keeps_to_a_form(openai_chat(model=vendor.model), method="function_calling")


@pytest.mark.sdk("langchain-openai")
@pytest.mark.supports("Responses", "invoke, stream, bind_tools, with_structured_output")
async def test_responses_are_used(openai_chat: Gpt, vendor: Vendor) -> None:
    chat = openai_chat(model=vendor.model, use_responses_api=True)

    await answers(chat)
    await uses_tools(chat)
    await keeps_to_a_form(chat)


@pytest.mark.sdk("langchain-anthropic")
@pytest.mark.supports("Messages", "invoke, stream")
async def test_messages_answers(anthropic_chat: Claude, vendor: Vendor) -> None:
    await answers(anthropic_chat(model=vendor.model))


@pytest.mark.sdk("langchain-anthropic")
@pytest.mark.supports("Messages", "bind_tools")
async def test_messages_uses_tools(anthropic_chat: Claude, vendor: Vendor) -> None:
    await uses_tools(anthropic_chat(model=vendor.model))


@pytest.mark.sdk("langchain-anthropic")
@pytest.mark.supports("Messages", "with_structured_output: by schema and by tool")
async def test_messages_keeps_to_a_form(anthropic_chat: Claude, vendor: Vendor) -> None:
    with vendor.asked(Capability.JSON_SCHEMA, field="output_config"):
        await keeps_to_a_form(anthropic_chat(model=vendor.model), method="json_schema")
        await keeps_to_a_form(anthropic_chat(model=vendor.model), method="function_calling")
