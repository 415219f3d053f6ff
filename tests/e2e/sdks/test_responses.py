"""OpenAI Responses through OpenAI's own clients: created, streamed, gone on with, taken up again, at every vendor."""

import asyncio
import json
from typing import Any, Final

import openai
import pytest
from speaking import Vendor
from words import LEAK, ONE_CALL, PICTURE, RESPONSES_TOOL, SAY, THINK, TWO_CALLS, Ticket

from allweather.contracts.slip import Capability, Parameter

pytestmark = pytest.mark.sdk("openai")
OVER: Final = {"completed", "failed", "cancelled", "incomplete"}
Gpt = openai.AsyncOpenAI


@pytest.mark.supports("Responses", "plain")
async def test_a_response_is_created(gpt: Gpt, vendor: Vendor) -> None:
    response = await gpt.responses.create(model=vendor.model, input=SAY, instructions="Be brief.")

    assert response.output_text == "It is mended."
    assert response.status == "completed"
    assert response.usage is not None
    assert response.usage.output_tokens > 0


@pytest.mark.supports("Responses", "stream")
async def test_a_response_is_streamed(gpt: Gpt, vendor: Vendor) -> None:
    stream = await gpt.responses.create(model=vendor.model, input=SAY, stream=True)
    events: list[Any] = [event async for event in stream]

    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events[:2]] == ["response.created", "response.in_progress"]
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == "It is mended."
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == "It is mended."


@pytest.mark.supports("Responses", "stream: put together by `stream()`")
async def test_a_streamed_response_is_put_together(gpt: Gpt, vendor: Vendor) -> None:
    async with gpt.responses.stream(model=vendor.model, input=LEAK, text_format=Ticket) as stream:
        response = await stream.get_final_response()

    assert isinstance(response.output_parsed, Ticket)


@pytest.mark.supports("Responses", "retrieve, input items, delete")
async def test_a_response_is_kept_until_it_is_deleted(gpt: Gpt, vendor: Vendor) -> None:
    created = await gpt.responses.create(model=vendor.model, input=SAY)
    found = await gpt.responses.retrieve(created.id)
    items = [item async for item in gpt.responses.input_items.list(created.id)]
    await gpt.responses.delete(created.id)

    assert found.output_text == created.output_text
    assert len(items) == 1
    with pytest.raises(openai.NotFoundError):
        await gpt.responses.retrieve(created.id)


@pytest.mark.supports("Responses", "previous_response_id")
async def test_a_response_is_gone_on_with(gpt: Gpt, vendor: Vendor) -> None:
    first = await gpt.responses.create(model=vendor.model, input=LEAK)
    second = await gpt.responses.create(model=vendor.model, input=SAY, previous_response_id=first.id)

    assert second.output_text == "It is mended."
    assert second.previous_response_id == first.id
    assert second.usage is not None
    assert first.usage is not None
    assert second.usage.input_tokens > first.usage.input_tokens, "the first turn was asked along"


@pytest.mark.supports("Responses", "tools: call, result, answer")
async def test_a_tool_is_called_and_its_result_answered(gpt: Gpt, vendor: Vendor) -> None:
    asked = await gpt.responses.create(model=vendor.model, input=ONE_CALL, tools=[RESPONSES_TOOL])
    [call] = [item for item in asked.output if item.type == "function_call"]
    result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "4 degrees and rain"}
    told = await gpt.responses.create(
        model=vendor.model, input=[result], previous_response_id=asked.id, tools=[RESPONSES_TOOL]
    )

    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Oslo"})
    assert "4 degrees" in told.output_text


@pytest.mark.supports("Responses", "tools: in parallel")
async def test_two_tools_are_called_at_once(gpt: Gpt, vendor: Vendor) -> None:
    with vendor.asked(Capability.PARALLEL_TOOLS, field="parallel_tool_calls"):
        asked = await gpt.responses.create(
            model=vendor.model, input=TWO_CALLS, tools=[RESPONSES_TOOL], parallel_tool_calls=True
        )

        assert len({item.call_id for item in asked.output if item.type == "function_call"}) == 2


@pytest.mark.supports("Responses", "tools: streamed")
async def test_a_call_is_streamed(gpt: Gpt, vendor: Vendor) -> None:
    stream = await gpt.responses.create(model=vendor.model, input=ONE_CALL, tools=[RESPONSES_TOOL], stream=True)
    events: list[Any] = [event async for event in stream]

    [done] = [event for event in events if event.type == "response.function_call_arguments.done"]
    assert json.loads(done.arguments) == {"city": "Oslo"}
    assert events[-1].response.output[-1].type == "function_call"


@pytest.mark.supports("Responses", "structured output: `parse()`")
async def test_a_response_has_the_form_that_was_asked_for(gpt: Gpt, vendor: Vendor) -> None:
    with vendor.asked(Capability.JSON_SCHEMA, field="text"):
        response = await gpt.responses.parse(model=vendor.model, input=LEAK, text_format=Ticket)

        assert isinstance(response.output_parsed, Ticket)


@pytest.mark.supports("Responses", "images: inline")
async def test_a_picture_is_seen(gpt: Gpt, vendor: Vendor) -> None:
    parts: Any = [{"type": "input_text", "text": LEAK}, {"type": "input_image", "image_url": PICTURE, "detail": "auto"}]
    with vendor.asked(Capability.VISION, field="input"):
        response = await gpt.responses.create(model=vendor.model, input=[{"role": "user", "content": parts}])

        assert response.output_text


@pytest.mark.supports("Responses", "reasoning")
async def test_the_model_thinks_first(gpt: Gpt, vendor: Vendor) -> None:
    with vendor.asked(Capability.REASONING, field="reasoning"):
        response = await gpt.responses.create(model=vendor.model, input=THINK, reasoning={"effort": "medium"})

        assert response.output_text == "Forty-two."
        assert response.usage is not None
        assert response.usage.output_tokens > 100, "thoughts are counted, and by most vendors told apart"


@pytest.mark.supports("Responses", "max_output_tokens")
async def test_a_response_is_cut_at_the_limit(gpt: Gpt, vendor: Vendor) -> None:
    response = await gpt.responses.create(model=vendor.model, input="[[long]]", max_output_tokens=20)

    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"


@pytest.mark.supports("Responses", "background: create, poll")
async def test_a_background_response_is_polled(gpt: Gpt, vendor: Vendor) -> None:
    created = await gpt.responses.create(model=vendor.model, input=SAY, background=True)
    found = await _over(gpt, created.id)

    assert created.status == "queued"
    assert (found.status, found.output_text) == ("completed", "It is mended.")


@pytest.mark.supports("Responses", "background: stream, taken up again by sequence number")
async def test_a_background_stream_is_taken_up_again(gpt: Gpt, vendor: Vendor) -> None:
    stream = await gpt.responses.create(model=vendor.model, input=SAY, background=True, stream=True)
    live: list[Any] = [event async for event in stream]
    resumed: Any = await gpt.responses.retrieve(live[0].response.id, stream=True, starting_after=2)
    again: list[Any] = [event async for event in resumed]

    assert live[-1].type == "response.completed"
    assert [event.sequence_number for event in live] == list(range(len(live)))
    assert again == live[3:]


@pytest.mark.supports("Responses", "background: cancel")
async def test_a_background_response_is_cancelled(gpt: Gpt, vendor: Vendor) -> None:
    created = await gpt.responses.create(model=vendor.model, input="[[long]]", background=True)
    cancelled = await gpt.responses.cancel(created.id)
    found = await _over(gpt, created.id)

    assert cancelled.status in OVER
    assert found.status == cancelled.status, "whichever came first is the outcome"


async def _over(gpt: Gpt, response_id: str) -> Any:
    """The response, once it is over."""
    async with asyncio.timeout(30):
        while (found := await gpt.responses.retrieve(response_id)).status not in OVER:
            await asyncio.sleep(0.02)
    return found


@pytest.mark.supports("Responses", "temperature, top_p")
async def test_sampling_is_asked_for(gpt: Gpt, vendor: Vendor) -> None:
    with vendor.asked(Parameter.TEMPERATURE, field="temperature"):
        response = await gpt.responses.create(model=vendor.model, input=SAY, temperature=0.3, top_p=0.9)

        assert response.output_text == "It is mended."
