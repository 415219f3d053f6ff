"""`/v1/responses`, as OpenAI's official SDK sees it: at once, as a stream, with a memory, and in the background."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import openai
import pytest

from allweather.contracts import headers, ids
from allweather.contracts.slip import Dialect
from allweather.dialects.registry import DIALECTS
from allweather.ingest.replies import Reply
from allweather.ingest.testing import OTHER_KEY, SECRET, Site, Submitted
from allweather.messaging.testing import eventually

RESPONSES = "/v1/responses"
ANSWER: dict[str, Any] = {
    "id": "resp_vendor",
    "object": "response",
    "created_at": 1_795_000_000,
    "status": "completed",
    "model": "gpt-5.2",
    "output": [
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Try descaling.", "annotations": []}],
        },
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "order", "arguments": "{}"},
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 3,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 5,
    },
    "error": None,
    "incomplete_details": None,
    "store": False,
}
EVENTS = list(DIALECTS[Dialect.OPENAI_RESPONSES].split(json.dumps(ANSWER).encode(), True))


@pytest.fixture
async def client(site: Site, sdk: Any) -> AsyncGenerator[openai.AsyncOpenAI]:
    async with sdk(site) as client:
        yield client


def settles(site: Site, body: Any = ANSWER, status: int = 200, outcome: str = "answered") -> Any:
    """A pipeline that answers, and whose outcomes can be looked up."""

    async def script(submitted: Submitted) -> None:
        settle(site, submitted, body, status, outcome)
        await submitted.reply(body, status=status, outcome=outcome)

    return script


def settle(site: Site, submitted: Submitted, body: Any = ANSWER, status: int = 200, outcome: str = "answered") -> None:
    said = {headers.OUTCOME: outcome, headers.DEPLOYMENT: "openai/eu"}
    site.statuses.settled[submitted.request_id] = Reply(status, json.dumps(body).encode(), said)


async def never(submitted: Submitted) -> None:
    """A pipeline in a long outage."""


async def test_the_sdk_gets_the_response_under_a_name_of_ours(site: Site, client: openai.AsyncOpenAI):
    site.script = settles(site)

    response = await client.responses.create(model="triage", input="My machine leaks.")

    assert response.output_text == "Try descaling."
    public = response.id.replace("resp_", "req_")
    assert ids.parse_public_id(public, "demo", SECRET) == site.seen[0].request_id
    assert response.to_dict()["store"] is True


async def test_vendors_are_asked_to_keep_nothing(site: Site, client: openai.AsyncOpenAI):
    site.script = settles(site)

    await client.responses.create(model="triage", input="Hi", reasoning={"effort": "low"}, metadata={"a": "b"})

    assert site.seen[0].record.text(headers.DIALECT) == "openai.responses"
    assert site.seen[0].body == {
        "model": "triage",
        "input": "Hi",
        "reasoning": {"effort": "low"},
        "metadata": {"a": "b"},
        "store": False,
        "include": ["reasoning.encrypted_content"],
    }


async def test_the_sdk_reads_a_stream_whose_numbers_are_unbroken(site: Site, client: openai.AsyncOpenAI):
    async def script(submitted: Submitted) -> None:
        await submitted.deltas("call-1", tuple(EVENTS[:6]), tuple(EVENTS[6:]))
        await submitted.reply(ANSWER, ai_call_id="call-1")

    site.script = script
    events: list[Any] = [e async for e in await client.responses.create(model="triage", input="Hi", stream=True)]

    assert [event.type for event in events] == [json.loads(payload)["type"] for payload in EVENTS]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    names = {event.response.id for event in events if hasattr(event, "response")}
    assert len(names) == 1
    assert ids.parse_public_id(names.pop().replace("resp_", "req_"), "demo", SECRET)


async def test_there_is_no_done_marker_and_no_end_of_another_call(site: Site, http: httpx.AsyncClient):
    async def script(submitted: Submitted) -> None:
        await submitted.deltas("call-1", tuple(EVENTS))
        await submitted.reply(ANSWER, ai_call_id="call-2")

    site.script = script
    shown = (await http.post(RESPONSES, json={"model": "triage", "input": "Hi", "stream": True})).text

    assert "[DONE]" not in shown
    assert "response.completed" not in shown
    last = [json.loads(line.removeprefix("data: ")) for line in shown.split("\n") if line.startswith("data: ")][-2:]
    assert [event["type"] for event in last] == ["error", "response.failed"]
    assert [event["sequence_number"] for event in last] == [len(EVENTS) - 1, len(EVENTS)]
    assert last[1]["response"]["error"]["code"] == "stream_interrupted"


async def test_an_invalid_body_has_openais_envelope(site: Site, client: openai.AsyncOpenAI):
    wrong = {"error": {"message": "No.", "type": "invalid_request_error", "param": "input", "code": "invalid_type"}}
    site.script = settles(site, wrong, 400, "invalid")

    with pytest.raises(openai.BadRequestError) as raised:
        await client.responses.create(model="triage", input=7)  # pyright: ignore[reportArgumentType, reportCallIssue]

    assert raised.value.param == "input"


# A memory


async def test_a_conversation_goes_on_from_a_stored_response(site: Site, client: openai.AsyncOpenAI):
    site.script = settles(site)
    first = await client.responses.create(model="triage", input="My machine leaks.")
    second = await client.responses.create(model="triage", input="And now?", previous_response_id=first.id)

    third = await client.responses.create(
        model="triage",
        input=[{"type": "function_call_output", "call_id": "c1", "output": "done"}],
        previous_response_id=second.id,
    )

    said = [
        {"type": "message", "role": "assistant", "content": ANSWER["output"][1]["content"]},
        {"type": "function_call", "call_id": "c1", "name": "order", "arguments": "{}"},
    ]
    assert site.seen[2].body["input"] == [
        {"role": "user", "content": "My machine leaks."},
        *said,
        {"role": "user", "content": "And now?"},
        *said,
        {"type": "function_call_output", "call_id": "c1", "output": "done"},
    ]
    assert "previous_response_id" not in site.seen[2].body
    assert third.previous_response_id == second.id
    items = await client.responses.input_items.list(third.id, order="asc")
    assert [item.type for item in items.data].count("function_call_output") == 1
    assert len(items.data) == 7
    newest = await client.responses.input_items.list(third.id, limit=2)
    assert len(newest.data) == 2
    assert newest.has_more


async def test_a_conversation_of_another_tenant_cannot_be_gone_on_with(
    site: Site, client: openai.AsyncOpenAI, sdk: Any
):
    site.script = settles(site)
    first = await client.responses.create(model="triage", input="My machine leaks.")

    async with sdk(site, api_key=OTHER_KEY) as other:
        with pytest.raises(openai.BadRequestError) as raised:
            await other.responses.create(model="triage", input="?", previous_response_id=first.id)
        with pytest.raises(openai.NotFoundError):
            await other.responses.retrieve(first.id)

    assert raised.value.code == "previous_response_not_found"
    assert len(site.seen) == 1


async def test_what_is_not_stored_or_has_been_deleted_is_not_there(site: Site, client: openai.AsyncOpenAI):
    site.script = settles(site)
    unstored = await client.responses.create(model="triage", input="Hi", store=False)
    deleted = await client.responses.create(model="triage", input="Hi")
    went_on = await client.responses.create(model="triage", input="Hi", previous_response_id=deleted.id)
    await client.responses.delete(deleted.id)

    for gone in (unstored, deleted):
        with pytest.raises(openai.NotFoundError, match="not found"):
            await client.responses.retrieve(gone.id)
    for gone in (unstored, deleted, went_on):
        with pytest.raises(openai.BadRequestError):
            await client.responses.create(model="triage", input="?", previous_response_id=gone.id)


async def test_a_stored_response_can_be_retrieved(site: Site, client: openai.AsyncOpenAI):
    site.script = settles(site)
    created = await client.responses.create(model="triage", input="Hi")

    raw: Any = await client.responses.with_raw_response.retrieve(created.id)

    assert raw.parse().output_text == "Try descaling."
    assert raw.headers["x-allweather-deployment"] == "openai/eu"


async def test_nothing_is_accepted_that_could_not_be_stored(site: Site, client: openai.AsyncOpenAI):
    site.responses.away = True

    with pytest.raises(openai.InternalServerError, match="cannot be stored"):
        await client.responses.create(model="triage", input="Hi")

    site.script = settles(site)
    assert (await client.responses.create(model="triage", input="Hi", store=False)).output_text == "Try descaling."


# In the background


async def test_a_background_response_is_queued_at_once_and_outlives_an_outage(site: Site, client: openai.AsyncOpenAI):
    site.script = never

    created = await client.responses.create(model="triage", input="Hi", background=True)
    assert created.status == "queued"
    await eventually(lambda: len(site.seen) == 1)
    assert "background" not in site.seen[0].body
    assert site.seen[0].record.text(headers.PRIORITY) is None

    site.statuses.dispatched.add(site.seen[0].request_id)
    assert (await client.responses.retrieve(created.id)).status == "in_progress"

    settle(site, site.seen[0])
    done = await client.responses.retrieve(created.id)
    assert (done.status, done.output_text, done.background) == ("completed", "Try descaling.", True)


async def test_a_background_stream_is_taken_up_again_by_number_and_is_the_same(site: Site, client: openai.AsyncOpenAI):
    site.script = settles(site)
    live: list[Any] = [
        event async for event in await client.responses.create(model="triage", input="Hi", background=True, stream=True)
    ]
    name = live[0].response.id

    again: list[Any] = [event async for event in await client.responses.retrieve(name, stream=True)]
    rest: list[Any] = [
        event
        async for event in await client.responses.retrieve(name, stream=True, starting_after=live[4].sequence_number)
    ]

    assert [event.type for event in live[:3]] == ["response.created", "response.queued", "response.in_progress"]
    assert [event.sequence_number for event in live] == list(range(len(live)))
    assert live[-1].type == "response.completed"
    assert again == live
    assert rest == live[5:]
    assert site.seen[0].body.keys() == {"model", "input", "store"}


async def test_a_stream_that_is_listened_to_again_waits_for_the_outcome(site: Site, client: openai.AsyncOpenAI):
    site.script = never
    stream = await client.responses.create(model="triage", input="Hi", background=True, stream=True)
    first: Any = await anext(aiter(stream))
    await stream.close()

    async def listen() -> list[Any]:
        followed = await client.responses.retrieve(first.response.id, stream=True, starting_after=1)
        return [event async for event in followed]

    listening = asyncio.create_task(listen())
    await eventually(lambda: site.room.count == 1)
    settle(site, site.seen[0])

    events = await listening
    assert (events[0].sequence_number, events[-1].type) == (2, "response.completed")


async def test_a_background_response_can_be_cancelled_twice(site: Site, client: openai.AsyncOpenAI):
    site.script = never
    created = await client.responses.create(model="triage", input="Hi", background=True)
    await eventually(lambda: len(site.seen) == 1)
    ended = {"error": {"message": "gone", "type": "invalid_request_error", "param": None, "code": "cancelled"}}
    cancelling = asyncio.create_task(client.responses.cancel(created.id))
    await eventually(lambda: site.room.count == 1)
    settle(site, site.seen[0], ended, 409, "cancelled")

    assert (await cancelling).status == "cancelled"
    assert (await client.responses.cancel(created.id)).status == "cancelled"


async def test_a_background_response_without_answer_has_failed_and_says_why(site: Site, client: openai.AsyncOpenAI):
    denied = {"error": {"message": "No.", "type": "permission_error", "param": None, "code": "model_not_allowed"}}
    site.script = settles(site, denied, 403, "denied")
    created = await client.responses.create(model="triage", input="Hi", background=True)
    await eventually(lambda: bool(site.statuses.settled))

    failed = await client.responses.retrieve(created.id)

    assert failed.status == "failed"
    assert failed.error is not None
    assert (str(failed.error.code), failed.error.message) == ("model_not_allowed", "No.")


async def test_only_what_runs_in_the_background_can_be_cancelled_or_taken_up_again(
    site: Site, client: openai.AsyncOpenAI
):
    site.script = settles(site)
    created = await client.responses.create(model="triage", input="Hi")

    with pytest.raises(openai.BadRequestError, match="synchronous"):
        await client.responses.cancel(created.id)
    with pytest.raises(openai.BadRequestError, match="background stream"):
        await client.responses.retrieve(created.id, stream=True)


@pytest.mark.parametrize("path", ["", "/cancel", "/input_items"])
@pytest.mark.parametrize("name", ["resp_nothing", "req_x", "%00"])
async def test_an_id_that_no_response_has_is_a_404(http: httpx.AsyncClient, path: str, name: str):
    method = "POST" if path == "/cancel" else "GET"
    response = await http.request(method, f"{RESPONSES}/{name}{path}")

    assert response.status_code == 404
    assert response.json()["error"]["type"] == "invalid_request_error"
