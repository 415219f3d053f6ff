"""The official OpenAI SDK, unchanged: Responses, Embeddings, Files and Batches."""

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncIterator
from typing import Any

import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI, BadRequestError, NotFoundError
from openai.types.responses import Response, ResponseFunctionToolCall, ResponseReasoningItem
from pydantic import BaseModel

QUESTION = "My parcel did not arrive, and it was a present."
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
DOORS = ("openai", "azure-v1", "azure-classic")


class Ticket(BaseModel):
    category: str
    urgency: str


@pytest.fixture(params=DOORS)
async def client(request: pytest.FixtureRequest, base_url: str) -> AsyncIterator[AsyncOpenAI]:
    if request.param == "azure-classic":
        made: AsyncOpenAI = AsyncAzureOpenAI(
            azure_endpoint=f"{base_url}/azure/uksouth",
            api_key="test",
            api_version="2025-04-01-preview",
            max_retries=0,
        )
    else:
        path = {"openai": "openai/v1", "azure-v1": "azure/uksouth/openai/v1"}[request.param]
        made = AsyncOpenAI(base_url=f"{base_url}/{path}", api_key="test", max_retries=0)
    async with made:
        yield made


@pytest.fixture
def model(client: AsyncOpenAI) -> str:
    return "gpt-5-2" if "azure" in str(client.base_url) else "gpt-5.2"


@pytest.fixture
async def openai(base_url: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{base_url}/openai/v1", api_key="test", max_retries=0) as made:
        yield made


async def respond(client: AsyncOpenAI, **ask: Any) -> Any:
    create: Any = client.responses.create
    return await create(**ask)


async def test_plain_response_has_text_and_usage(client: AsyncOpenAI, model: str) -> None:
    response = await respond(client, model=model, input=QUESTION)

    assert response.status == "completed"
    assert response.output_text
    assert response.usage is not None
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens


async def test_stream_adds_up_to_the_plain_response(client: AsyncOpenAI, model: str) -> None:
    plain = await respond(client, model=model, input=QUESTION, reasoning={"effort": "low", "summary": "auto"})

    async with client.responses.stream(
        model=model, input=QUESTION, reasoning={"effort": "low", "summary": "auto"}
    ) as stream:
        events = [event async for event in stream]
        final = await stream.get_final_response()

    assert [event.sequence_number for event in events if hasattr(event, "sequence_number")][:3] == [0, 1, 2]
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    assert final.output_text == plain.output_text
    assert [item.type for item in final.output] == [item.type for item in plain.output] == ["reasoning", "message"]


async def test_parsed_response_follows_the_class(client: AsyncOpenAI, model: str) -> None:
    response = await client.responses.parse(model=model, input=QUESTION, text_format=Ticket)

    assert response.output_parsed == Ticket(category="delivery", urgency="medium")


async def test_tools_are_called_in_parallel_and_their_outputs_are_taken_back(client: AsyncOpenAI, model: str) -> None:
    asked = '[[tool get_weather {"city": "Oslo"}]] [[tool get_weather {"city": "Rome"}]] How is it there?'
    first = await respond(
        client,
        model=model,
        input=asked,
        tools=[WEATHER],
        reasoning={"effort": "low"},
    )
    calls = [item for item in first.output if isinstance(item, ResponseFunctionToolCall)]
    assert [json.loads(call.arguments)["city"] for call in calls] == ["Oslo", "Rome"]
    assert first.output[0].type == "reasoning"

    second = await respond(
        client,
        model=model,
        previous_response_id=first.id,
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "Rain."} for call in calls],
        tools=[WEATHER],
    )

    assert "Rain.; Rain." in second.output_text


async def test_output_without_its_call_is_refused_by_name(client: AsyncOpenAI, model: str) -> None:
    with pytest.raises(BadRequestError, match="No tool call found for function call output with call_id call_none"):
        await respond(
            client, model=model, input=[{"type": "function_call_output", "call_id": "call_none", "output": "Rain."}]
        )


async def test_call_without_its_output_is_refused_by_name(client: AsyncOpenAI, model: str) -> None:
    call = {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": "{}"}

    with pytest.raises(BadRequestError, match="No tool output found for function call call_1"):
        await respond(client, model=model, input=[{"role": "user", "content": "Hi"}, call])


async def test_encrypted_reasoning_comes_back_and_is_verified(client: AsyncOpenAI, model: str) -> None:
    first = await respond(
        client,
        model=model,
        input="[[tool]] Look it up.",
        tools=[WEATHER],
        reasoning={"effort": "medium"},
        store=False,
        include=["reasoning.encrypted_content"],
    )
    reasoning, call = first.output
    assert isinstance(reasoning, ResponseReasoningItem)
    assert isinstance(call, ResponseFunctionToolCall)
    sent = [reasoning.model_dump(exclude_none=True), call.model_dump(exclude_none=True)]
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "ok"}

    def asked(items: list[Any]) -> list[Any]:
        return [{"role": "user", "content": "[[tool]] Look it up."}, *items, output]

    good = await respond(client, model=model, input=asked(sent), store=False)
    assert good.status == "completed"
    forged = {**sent[0], "encrypted_content": str(sent[0]["encrypted_content"])[:-2] + "xx"}
    with pytest.raises(BadRequestError) as refused:
        await respond(client, model=model, input=asked([forged, sent[1]]), store=False)
    assert refused.value.code == "invalid_encrypted_content"
    bare = {name: value for name, value in sent[0].items() if name != "encrypted_content"}
    with pytest.raises(NotFoundError, match="Items are not persisted when `store` is set to false"):
        await respond(client, model=model, input=asked([bare, sent[1]]), store=False)


async def test_reasoning_needs_the_item_that_followed_it(openai: AsyncOpenAI) -> None:
    first = await respond(openai, model="gpt-5.2", input=QUESTION, reasoning={"effort": "low"})
    reasoning = first.output[0].model_dump(exclude_none=True)

    with pytest.raises(BadRequestError, match="was provided without its required following item"):
        await respond(openai, model="gpt-5.2", input=[{"role": "user", "content": "Hi"}, reasoning])


async def test_background_response_is_queued_then_works_then_is_done(client: AsyncOpenAI, model: str) -> None:
    response = await respond(client, model=model, input=QUESTION, background=True)
    seen = [response.status]

    while response.status in ("queued", "in_progress"):
        await asyncio.sleep(0.01)
        response = await client.responses.retrieve(response.id)
        seen.append(response.status)

    assert list(dict.fromkeys(seen)) in (["queued", "in_progress", "completed"], ["queued", "completed"])
    assert response.output_text


async def test_background_response_can_be_cancelled_twice(client: AsyncOpenAI, model: str) -> None:
    response = await respond(client, model=model, input="[[long]] Tell me.", background=True)

    first = await client.responses.cancel(response.id)
    second = await client.responses.cancel(response.id)

    assert first.status == second.status == "cancelled"
    assert (await client.responses.retrieve(response.id)).output_text == ""


async def test_only_background_responses_can_be_cancelled(openai: AsyncOpenAI) -> None:
    response = await respond(openai, model="gpt-5.2", input=QUESTION)

    with pytest.raises(BadRequestError, match="Cannot cancel a synchronous response"):
        await openai.responses.cancel(response.id)


async def test_background_stream_is_taken_up_where_it_was_left(client: AsyncOpenAI, model: str) -> None:
    stream = await respond(client, model=model, input=QUESTION, background=True, stream=True)
    whole = [event async for event in stream]
    created = whole[0]
    assert created.type == "response.created"

    rest = [
        event async for event in await client.responses.retrieve(created.response.id, stream=True, starting_after=5)
    ]

    assert [event.to_json() for event in rest] == [event.to_json() for event in whole[6:]]


async def test_unstored_and_deleted_responses_are_not_found(client: AsyncOpenAI, model: str) -> None:
    unstored = await respond(client, model=model, input=QUESTION, store=False)
    deleted = await respond(client, model=model, input=QUESTION)
    await client.responses.delete(deleted.id)

    for response in (unstored, deleted):
        with pytest.raises(NotFoundError):
            await client.responses.retrieve(response.id)
        with pytest.raises(BadRequestError) as refused:
            await respond(client, model=model, input="Go on.", previous_response_id=response.id)
        assert refused.value.code == "previous_response_not_found"


async def test_input_of_a_response_can_be_read_again(openai: AsyncOpenAI) -> None:
    first = await respond(openai, model="gpt-5.2", input=QUESTION)
    second = await respond(openai, model="gpt-5.2", input="Go on.", previous_response_id=first.id)

    found = await openai.responses.input_items.list(second.id)

    assert [item.type for item in found.data] == ["message", "message", "message"]


@pytest.mark.parametrize(
    ("asked", "limit", "status", "reason"),
    [
        ("Hello.", 16, "incomplete", "max_output_tokens"),
        ('[[tool get_weather {"city": "A place with a very long name indeed, on and on and on and on and on"}]]', 16,
         "incomplete", "max_output_tokens"),
        ("[[filter]] Hello.", None, "incomplete", "content_filter"),
        ("[[fail]] Hello.", None, "failed", None),
    ],
)  # fmt: skip
async def test_response_that_does_not_get_to_its_end_says_why(
    openai: AsyncOpenAI, asked: str, limit: int | None, status: str, reason: str | None
) -> None:
    def check(response: Response) -> None:
        assert response.status == status
        assert (response.incomplete_details and response.incomplete_details.reason) == reason
        if status == "failed":
            assert response.error is not None

    tools = [WEATHER]
    check(await respond(openai, model="gpt-5.2", input=asked, max_output_tokens=limit, tools=tools))
    stream = await respond(
        openai,
        model="gpt-5.2",
        input=asked,
        max_output_tokens=limit,
        tools=tools,
        stream=True,
    )
    last = [event async for event in stream][-1]
    assert last.type == f"response.{status}"
    check(last.response)  # pyright: ignore[reportAttributeAccessIssue]


async def test_call_cut_by_the_limit_has_arguments_that_are_no_json(openai: AsyncOpenAI) -> None:
    asked = f'[[tool get_weather {{"city": "{"long " * 40}"}}]]'

    response = await respond(openai, model="gpt-5.2", input=asked, max_output_tokens=16, tools=[WEATHER])

    call = response.output[-1]
    assert isinstance(call, ResponseFunctionToolCall)
    assert call.status == "incomplete"
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(call.arguments)


async def test_refusal_is_a_part_of_the_message(openai: AsyncOpenAI) -> None:
    stream = await respond(openai, model="gpt-5.2", input="[[refuse]]", stream=True)
    events = [event async for event in stream]

    said = "".join(event.delta for event in events if event.type == "response.refusal.delta")
    assert said == "I'm sorry, but I can't help with that request."
    assert events[-1].type == "response.completed"


async def test_azure_refuses_a_prompt_before_the_model_sees_it(base_url: str) -> None:
    async with AsyncOpenAI(base_url=f"{base_url}/azure/uksouth/openai/v1", api_key="test") as client:
        with pytest.raises(BadRequestError) as refused:
            await respond(client, model="gpt-5-2", input="[[refuse]]")

    assert refused.value.code == "content_filter"


async def test_what_one_azure_region_has_sealed_no_other_can_open(base_url: str) -> None:
    def in_region(name: str) -> AsyncOpenAI:
        return AsyncOpenAI(base_url=f"{base_url}/azure/{name}/openai/v1", api_key="test", max_retries=0)

    async with in_region("uksouth") as here, in_region("eastus2") as there:
        first = await respond(
            here, model="gpt-5-2", input="Hi", reasoning={"effort": "low"}, include=["reasoning.encrypted_content"]
        )
        history = [{"role": "user", "content": "Hi"}, *(item.model_dump(exclude_none=True) for item in first.output)]
        history.append({"role": "user", "content": "Go on."})
        assert await respond(here, model="gpt-5-2", input=history)
        with pytest.raises(BadRequestError) as refused:
            await respond(there, model="gpt-5-2", input=history)

    assert refused.value.code == "invalid_encrypted_content"


async def test_embeddings_of_texts_that_share_words_are_close(openai: AsyncOpenAI) -> None:
    texts = ["my parcel is late", "the parcel is late again", "password forgotten"]

    answer = await openai.embeddings.create(model="text-embedding-3-small", input=texts)

    first, second, third = (item.embedding for item in answer.data)
    assert len(first) == 1536
    assert abs(dot(first, first) - 1) < 1e-5
    assert dot(first, second) > 0.4 > dot(first, third)
    assert answer.usage.prompt_tokens > 0


async def test_embeddings_have_as_many_dimensions_as_asked_for_in_either_encoding(openai: AsyncOpenAI) -> None:
    plain = await openai.embeddings.create(
        model="text-embedding-3-large", input="Hello", dimensions=8, encoding_format="float"
    )
    packed = await openai.embeddings.create(
        model="text-embedding-3-large", input="Hello", dimensions=8, encoding_format="base64"
    )

    assert len(plain.data[0].embedding) == 8
    assert len(b64decode(str(packed.data[0].embedding))) == 8 * 4


def dot(left: list[float], right: list[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


def line(number: int, body: object, url: str = "/v1/chat/completions") -> str:
    return json.dumps({"custom_id": f"r{number}", "method": "POST", "url": url, "body": body})


async def finished(client: AsyncOpenAI, batch_id: str) -> str:
    while (batch := await client.batches.retrieve(batch_id)).status not in ("completed", "failed", "cancelled"):
        await asyncio.sleep(0.01)
    return batch.status


async def test_batch_sorts_good_answers_from_failures(openai: AsyncOpenAI) -> None:
    asks = [{"model": "gpt-5.2", "messages": [{"role": "user", "content": f"Ticket {each}"}]} for each in range(20)]
    asks[3]["stop"] = "x"
    content = "\n".join(line(number, ask) for number, ask in enumerate(asks))
    file = await openai.files.create(file=("asks.jsonl", content.encode()), purpose="batch")

    batch = await openai.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"of": "tests"}
    )
    assert batch.status == "validating"
    assert await finished(openai, batch.id) == "completed"

    done = await openai.batches.retrieve(batch.id)
    assert done.request_counts is not None
    assert (done.request_counts.total, done.request_counts.completed, done.request_counts.failed) == (20, 19, 1)
    answers = (await openai.files.content(str(done.output_file_id))).text.splitlines()
    failures = (await openai.files.content(str(done.error_file_id))).text.splitlines()
    assert {json.loads(each)["response"]["status_code"] for each in answers} == {200}
    (failure,) = map(json.loads, failures)
    assert (failure["custom_id"], failure["response"]["status_code"]) == ("r3", 400)
    assert failure["response"]["body"]["error"]["param"] == "stop"


@pytest.mark.parametrize(
    ("content", "code", "number"),
    [
        ("", "empty_file", None),
        ("{", "invalid_json_line", 1),
        (line(1, {"model": "gpt-5.2"}) + "\n" + line(1, {"model": "gpt-5.2"}), "duplicate_custom_id", 2),
        (line(1, {"model": "gpt-5.2"}, "/v1/embeddings"), "invalid_url", 1),
        (line(1, {"model": "gpt-5.2"}) + "\n" + line(2, {"model": "gpt-4.1"}), "mismatched_model", None),
    ],
)
async def test_batch_with_a_bad_file_fails_as_a_whole(
    openai: AsyncOpenAI, content: str, code: str, number: int | None
) -> None:
    file = await openai.files.create(file=("asks.jsonl", content.encode()), purpose="batch")
    batch = await openai.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")

    assert await finished(openai, batch.id) == "failed"
    done = await openai.batches.retrieve(batch.id)

    assert done.errors is not None
    assert done.errors.data is not None
    assert (done.errors.data[0].code, done.errors.data[0].line) == (code, number)
