"""`POST /v1/messages`, as Anthropic's official SDK sees it."""

import json
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from typing import Any

import anthropic
import httpx
import pytest

from allweather.contracts import errors, headers, ids
from allweather.contracts.errors import ApiError
from allweather.contracts.slip import Dialect
from allweather.dialects.registry import DIALECTS
from allweather.ingest.doors.streamed import Patience
from allweather.ingest.testing import KEY, SECRET, Site, Submitted

MESSAGES = "/v1/messages"
HELLO: Any = [{"role": "user", "content": "My machine leaks."}]
BODY: dict[str, Any] = {"model": "triage", "max_tokens": 100, "messages": HELLO}
ANSWER: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-6",
    "content": [
        {"type": "thinking", "thinking": "Lime?", "signature": "s1"},
        {"type": "text", "text": "Try descaling."},
        {"type": "tool_use", "id": "toolu_1", "name": "order", "input": {"what": "descaler"}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 3,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 9,
    },
}
EVENTS = list(DIALECTS[Dialect.ANTHROPIC_MESSAGES].split(json.dumps(ANSWER).encode(), True))


@pytest.fixture
async def claude(site: Site) -> AsyncGenerator[anthropic.AsyncAnthropic]:
    """The SDK as it comes: its newest version sends the key as a bearer's, and the newest version of the API."""
    async with anthropic.AsyncAnthropic(base_url=site.base_url, api_key=KEY, max_retries=0, timeout=20) as client:
        yield client


async def answer(submitted: Submitted) -> None:
    """A pipeline that answers with a message."""
    await submitted.reply(ANSWER, ai_deployment="anthropic/sonnet", ai_region="us", ai_cost_usd="0.002")


async def streaming(submitted: Submitted) -> None:
    """A pipeline that streams the message in three pieces."""
    await submitted.deltas("call-1", tuple(EVENTS[:4]), tuple(EVENTS[4:-2]), tuple(EVENTS[-2:]))
    await submitted.reply(ANSWER, ai_call_id="call-1")


def error_of(response: httpx.Response) -> dict[str, Any]:
    """The error in Anthropic's envelope; both the body and a header have an id to quote."""
    body = response.json()
    assert body["type"] == "error"
    assert body["request_id"] == response.headers["request-id"]
    return body["error"]


async def test_the_sdk_gets_the_message_and_how_it_came_about(site: Site, claude: anthropic.AsyncAnthropic):
    site.script = answer

    create: Any = claude.messages.with_raw_response.create
    raw = await create(**BODY)

    message = await raw.parse()
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use"]
    assert (message.stop_reason, message.usage.output_tokens) == ("tool_use", 9)
    assert raw.headers["x-allweather-deployment"] == "anthropic/sonnet"
    assert (raw.headers["x-allweather-region"], raw.headers["x-allweather-cost-usd"]) == ("us", "0.002")
    assert ids.parse_public_id(raw.headers["request-id"], "demo", SECRET) == site.seen[0].request_id
    assert site.seen[0].record.text(headers.DIALECT) == "anthropic.messages"
    assert site.seen[0].body == BODY


async def test_its_version_and_betas_travel_with_a_request(site: Site, claude: anthropic.AsyncAnthropic):
    site.script = answer
    create: Any = claude.messages.create

    await create(**BODY, extra_headers={"anthropic-version": "2023-06-01", "anthropic-beta": "a-2025,b-2026"})

    assert site.seen[0].record.text(headers.API_VERSION) == "2023-06-01"
    assert site.seen[0].record.text(headers.API_BETAS) == "a-2025,b-2026"


async def test_the_sdk_reads_a_stream(site: Site, claude: anthropic.AsyncAnthropic):
    site.script = streaming

    async with claude.messages.stream(**BODY) as stream:
        text = "".join([piece async for piece in stream.text_stream])
        message = await stream.get_final_message()

    assert text == "Try descaling."
    assert message.stop_reason == "tool_use"
    assert [block.to_dict() for block in message.content] == ANSWER["content"]


async def test_the_events_are_named_and_in_anthropics_order(site: Site, http: httpx.AsyncClient):
    site.script = streaming

    response = await http.post(MESSAGES, json=BODY | {"stream": True})

    events = [part.split("\n") for part in response.text.rstrip("\n").split("\n\n")]
    names = [name.removeprefix("event: ") for name, _ in events]
    assert names == [json.loads(payload)["type"] for payload in EVENTS]
    assert names[-2:] == ["message_delta", "message_stop"]
    assert [data.removeprefix("data: ") for _, data in events] == EVENTS


async def test_a_whole_answer_is_told_as_a_stream_if_that_was_asked_for(site: Site, claude: anthropic.AsyncAnthropic):
    site.script = answer

    async with claude.messages.stream(**BODY) as stream:
        message = await stream.get_final_message()

    assert [block.to_dict() for block in message.content] == ANSWER["content"]


async def test_why_an_answer_ended_is_not_told_before_it_is_certain_that_it_is_the_answer(
    site: Site, http: httpx.AsyncClient
):
    async def script(submitted: Submitted) -> None:
        await submitted.deltas("call-1", tuple(EVENTS))
        await submitted.reply(ANSWER, ai_call_id="call-2")

    site.script = script
    shown = (await http.post(MESSAGES, json=BODY | {"stream": True})).text

    assert "message_delta" not in shown
    assert "message_stop" not in shown
    assert "event: error\n" in shown
    assert "stream_interrupted" in shown


async def test_the_sdk_raises_an_error_in_mid_stream(site: Site, claude: anthropic.AsyncAnthropic):
    async def script(submitted: Submitted) -> None:
        await submitted.deltas("call-1", tuple(EVENTS[:4]))
        failed = errors.render(ApiError(502, "server_error", "interrupted", "cut"), Dialect.ANTHROPIC_MESSAGES)
        await submitted.reply(json.loads(failed), status=502, outcome="interrupted")

    site.script = script
    with pytest.raises(anthropic.APIStatusError, match="cut"):
        async with claude.messages.stream(**BODY) as stream:
            await stream.get_final_message()


async def test_a_silent_stream_is_kept_alive_with_pings(
    open_site: Any,
):
    opening: AbstractAsyncContextManager[Site] = open_site(patience=Patience(hold=0.05, keep_alive=0.05))
    async with opening as site:

        async def script(submitted: Submitted) -> None:
            async with httpx.AsyncClient(base_url=site.base_url) as other:  # time passes: another call is served
                while not pinged:
                    await other.get("/livez")
            await answer(submitted)

        site.script = script
        pinged: list[str] = []
        headers = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}
        async with (
            httpx.AsyncClient(base_url=site.base_url, headers=headers, timeout=20) as client,
            client.stream("POST", MESSAGES, json=BODY | {"stream": True}) as response,
        ):
            async for line in response.aiter_lines():
                pinged += [line] * (line == "event: ping")

    assert pinged


@pytest.mark.parametrize("version", [None, "2023-06-01", "2026-10-21"])
@pytest.mark.parametrize("key", [{"x-api-key": KEY}, {"authorization": f"Bearer {KEY}"}])
async def test_both_headers_for_the_key_and_both_versions_are_taken(
    site: Site, key: dict[str, str], version: str | None
):
    site.script = answer
    given = key | ({"anthropic-version": version} if version else {})
    async with httpx.AsyncClient(base_url=site.base_url, headers=given) as client:
        assert (await client.post(MESSAGES, json=BODY)).status_code == 200


async def test_a_wrong_key_is_anthropics_401_and_no_other_key_is_looked_at(site: Site):
    given = {"x-api-key": "aw_wrong_0123456789abcdef", "authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(base_url=site.base_url, headers=given) as client:
        response = await client.post(MESSAGES, json=BODY)

    assert (response.status_code, error_of(response)["type"]) == (401, "authentication_error")


@pytest.mark.parametrize(
    ("given", "body", "message"),
    [
        ({}, b"{", "line 1, column 2"),
        ({"anthropic-version": "2024-01-01"}, json.dumps(BODY), "expected 2023-06-01 or 2026-10-21"),
        (
            {"anthropic-version": "2026-10-21"},
            json.dumps(BODY | {"temperature": 1.0}),
            "temperature: Extra inputs are not permitted",
        ),
    ],
)
async def test_what_the_api_refuses_is_refused_in_its_envelope(
    site: Site, http: httpx.AsyncClient, given: dict[str, str], body: Any, message: str
):
    response = await http.post(MESSAGES, content=body, headers=given)

    error = error_of(response)
    assert (response.status_code, error["type"]) == (400, "invalid_request_error")
    assert message in error["message"]
    assert site.seen == []


async def test_the_older_version_takes_sampling_parameters(site: Site, http: httpx.AsyncClient):
    site.script = answer

    response = await http.post(MESSAGES, json=BODY | {"temperature": 0.5}, headers={"anthropic-version": "2023-06-01"})

    assert response.status_code == 200


# Counting


async def test_tokens_are_counted_without_a_vendor(site: Site, claude: anthropic.AsyncAnthropic):
    few = await claude.messages.count_tokens(model="triage", messages=HELLO)
    many = await claude.messages.count_tokens(model="triage", messages=HELLO, system="x" * 3000)

    assert 0 < few.input_tokens < 100
    assert many.input_tokens >= few.input_tokens + 1000
    assert site.seen == []


async def test_tokens_of_an_unknown_model_cannot_be_counted(claude: anthropic.AsyncAnthropic):
    with pytest.raises(anthropic.NotFoundError, match="model: nothing"):
        await claude.messages.count_tokens(model="nothing", messages=HELLO)


async def test_what_is_wrong_with_a_body_to_count_is_told(http: httpx.AsyncClient):
    response = await http.post(f"{MESSAGES}/count_tokens", json={"model": "triage"})

    assert response.status_code == 400
    assert "messages" in error_of(response)["message"]


# Models


async def test_anthropics_sdk_lists_every_model_and_shows_one(claude: anthropic.AsyncAnthropic):
    listed = [model async for model in claude.models.list()]
    shown = await claude.models.retrieve("triage")

    assert "triage" in [model.id for model in listed]
    assert (shown.type, shown.to_dict()["max_tokens"]) == ("model", shown.max_tokens)
    with pytest.raises(anthropic.NotFoundError):
        await claude.models.retrieve("nothing")
