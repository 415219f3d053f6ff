"""pydantic-ai's own clients at the doors. The package is imported when the first test asks: that takes seconds."""

from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest
import pytest_asyncio
from speaking import Door, Vendor
from words import LEAK, ONE_CALL, SAY, Ticket

if TYPE_CHECKING:
    from pydantic_ai.models import Model

pytestmark = pytest.mark.sdk("pydantic-ai-slim")
Models = Callable[[Vendor], "Model"]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def client(door: Door) -> AsyncGenerator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{door.url}/v1", api_key=door.key, max_retries=0) as client:
        yield client


@pytest.fixture
def chat(client: openai.AsyncOpenAI) -> Models:
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    return lambda vendor: OpenAIChatModel(vendor.model, provider=OpenAIProvider(openai_client=client))


@pytest.fixture
def responses(client: openai.AsyncOpenAI) -> Models:
    from pydantic_ai.models.openai import OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    return lambda vendor: OpenAIResponsesModel(vendor.model, provider=OpenAIProvider(openai_client=client))


@pytest_asyncio.fixture(loop_scope="session")
async def messages(door: Door) -> AsyncGenerator[Models]:
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    async with anthropic.AsyncAnthropic(base_url=door.url, api_key=door.key, max_retries=0) as claude:
        yield lambda vendor: AnthropicModel(vendor.model, provider=AnthropicProvider(anthropic_client=claude))


async def runs(model: "Model") -> None:
    from pydantic_ai import Agent

    agent = Agent(model, instructions="Be brief.")
    whole = await agent.run(SAY)
    async with agent.run_stream(SAY) as stream:
        pieces = [piece async for piece in stream.stream_text(delta=True)]

    assert whole.output == "It is mended."
    assert whole.usage.output_tokens > 0
    assert "".join(pieces) == "It is mended."


async def uses_tools(model: "Model") -> None:
    from pydantic_ai import Agent

    def get_weather(city: str) -> str:
        return f"4 degrees in {city}"

    told: Any = await Agent(model, tools=[get_weather]).run(ONE_CALL)

    assert "4 degrees in Oslo" in told.output


async def keeps_to_a_form_by_tool(model: "Model") -> None:
    from pydantic_ai import Agent

    assert isinstance((await Agent(model, output_type=Ticket).run(LEAK)).output, Ticket)


async def keeps_to_a_form_by_schema(model: "Model") -> None:
    from pydantic_ai import Agent, NativeOutput

    told: Any = await Agent(model, output_type=NativeOutput(Ticket)).run(LEAK)

    assert isinstance(told.output, Ticket)


@pytest.mark.supports("Chat Completions", "run, run_stream")
async def test_an_agent_runs_on_chat(chat: Models, vendor: Vendor) -> None:
    await runs(chat(vendor))


@pytest.mark.supports("Chat Completions", "tools")
async def test_an_agent_uses_tools_on_chat(chat: Models, vendor: Vendor) -> None:
    await uses_tools(chat(vendor))


@pytest.mark.supports("Chat Completions", "output_type: by tool and by schema")
async def test_an_agent_keeps_to_a_form_on_chat(chat: Models, vendor: Vendor) -> None:
    await keeps_to_a_form_by_tool(chat(vendor))
    await keeps_to_a_form_by_schema(chat(vendor))


@pytest.mark.supports("Responses", "run, run_stream, tools, output_type")
async def test_an_agent_runs_on_responses(responses: Models, vendor: Vendor) -> None:
    await runs(responses(vendor))
    await uses_tools(responses(vendor))
    await keeps_to_a_form_by_tool(responses(vendor))
    await keeps_to_a_form_by_schema(responses(vendor))


@pytest.mark.supports("Messages", "run, run_stream")
async def test_an_agent_runs_on_messages(messages: Models, vendor: Vendor) -> None:
    await runs(messages(vendor))


@pytest.mark.supports("Messages", "tools")
async def test_an_agent_uses_tools_on_messages(messages: Models, vendor: Vendor) -> None:
    await uses_tools(messages(vendor))


@pytest.mark.supports("Messages", "output_type: by tool")
async def test_an_agent_keeps_to_a_form_on_messages(messages: Models, vendor: Vendor) -> None:
    await keeps_to_a_form_by_tool(messages(vendor))
