"""Streaming through the door, as the official SDK sees it."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import openai
import pytest

from allweather.ingest.doors.streamed import Patience
from allweather.ingest.testing import KEY, Site, Submitted, chunk
from allweather.messaging.testing import eventually

Sdk = Callable[..., openai.AsyncOpenAI]
OpenSite = Callable[..., AbstractAsyncContextManager[Site]]
CHAT = "/v1/chat/completions"
BODY = b'{"model": "triage", "stream": true, "messages": [{"role": "user", "content": "Hi"}]}'
HELLO: Any = [{"role": "user", "content": "Hi"}]
FIRST, REST, END = (chunk("Try "),), (chunk("desc"), chunk("aling.")), (chunk(finish="stop"),)


async def read(client: openai.AsyncOpenAI, **options: Any) -> tuple[str, str | None]:
    """The text of a stream and its finish reason."""
    text, finish = "", None
    async for part in await client.chat.completions.create(model="triage", messages=HELLO, stream=True, **options):
        for choice in part.choices:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
    return text, finish


async def test_the_sdk_reads_a_stream(site: Site, sdk: Sdk):
    async def script(submitted: Submitted) -> None:
        await submitted.deltas("call-1", FIRST, REST, END)
        await submitted.reply(ai_call_id="call-1")

    site.script = script
    async with sdk(site) as client:
        assert await read(client) == ("Try descaling.", "stop")
    await eventually(lambda: site.room.count == 0)


async def test_the_synchronous_sdk_reads_a_stream(site: Site):
    async def script(submitted: Submitted) -> None:
        await submitted.deltas("call-1", FIRST, REST, END)
        await submitted.reply(ai_call_id="call-1")

    def ask() -> str:
        with openai.OpenAI(base_url=f"{site.base_url}/v1", api_key=KEY, max_retries=0) as client:
            stream = client.chat.completions.create(model="triage", messages=HELLO, stream=True)
            return "".join(choice.delta.content or "" for part in stream for choice in part.choices)

    site.script = script
    assert await asyncio.to_thread(ask) == "Try descaling."


async def test_the_first_content_is_sent_at_once(site: Site, sdk: Sdk):
    go_on = asyncio.Event()

    async def script(submitted: Submitted) -> None:
        await submitted.deltas("call-1", FIRST)
        await go_on.wait()
        await submitted.deltas("call-1", REST, END, first=1)
        await submitted.reply(ai_call_id="call-1")

    site.script = script
    async with sdk(site) as client:
        stream = aiter(await client.chat.completions.create(model="triage", messages=HELLO, stream=True))
        first = await anext(stream)
        go_on.set()
        rest = [choice.delta.content or "" async for part in stream for choice in part.choices]

    assert first.choices[0].delta.content == "Try "
    assert "".join(rest) == "descaling."


async def test_an_answer_without_deltas_is_streamed_from_the_whole(site: Site, sdk: Sdk):
    async with sdk(site) as client:
        stream = await client.chat.completions.create(
            model="triage", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
        parts = [part async for part in stream]

    assert "".join(c.delta.content or "" for part in parts for c in part.choices) == "Try descaling."
    assert parts[-1].usage is not None
    assert parts[-1].usage.total_tokens == 5


async def test_an_error_before_content_is_a_proper_status(site: Site, sdk: Sdk):
    async def script(submitted: Submitted) -> None:
        await submitted.reply(
            {
                "error": {
                    "message": "There is no such model.",
                    "type": "invalid_request_error",
                    "code": "model_not_found",
                }
            },
            status=404,
            outcome="invalid",
        )

    site.script = script
    async with sdk(site, max_retries=3) as client:
        with pytest.raises(openai.NotFoundError, match="no such model"):
            await read(client)


async def test_an_error_after_content_is_an_event_that_the_sdk_raises(site: Site, sdk: Sdk):
    async def script(submitted: Submitted) -> None:
        await submitted.deltas("call-1", FIRST)
        await submitted.reply(ai_call_id="call-2")

    site.script = script
    async with sdk(site) as client:
        with pytest.raises(openai.APIError, match="begun by a call that has failed") as raised:
            await read(client)

    assert raised.value.code == "stream_interrupted"


async def test_a_stream_says_first_who_answers(site: Site, http: httpx.AsyncClient):
    async def script(submitted: Submitted) -> None:
        await submitted.deltas("call-1", FIRST, REST, END)
        await submitted.reply(ai_call_id="call-1")

    site.script = script
    response = await http.post(CHAT, content=BODY)

    assert response.headers["x-allweather-deployment"] == "openai/gpt"
    assert (response.headers["x-allweather-model"], response.headers["x-allweather-region"]) == ("gpt-5.2", "us")
    assert response.headers["x-request-id"].startswith("req_")


async def test_a_stream_of_a_whole_answer_says_how_it_came_about(site: Site, http: httpx.AsyncClient):
    async def script(submitted: Submitted) -> None:
        await submitted.reply(ai_deployment="openai/gpt", ai_cost_usd="0.002")

    site.script = script
    response = await http.post(CHAT, content=BODY)

    assert response.headers["x-allweather-deployment"] == "openai/gpt"
    assert (response.headers["x-allweather-attempts"], response.headers["x-allweather-cost-usd"]) == ("1", "0.002")


async def test_a_stream_that_is_held_too_long_begins_with_signs_of_life(open_site: OpenSite):
    async with open_site(patience=Patience(hold=0.1, keep_alive=0.1)) as site:
        go_on = asyncio.Event()

        async def script(submitted: Submitted) -> None:
            await go_on.wait()
            await submitted.reply(
                {"error": {"message": "No.", "type": "permission_error", "code": "denied"}}, status=403
            )

        site.script = script
        async with (
            httpx.AsyncClient(base_url=site.base_url, headers={"authorization": f"Bearer {KEY}"}) as http,
            http.stream("POST", CHAT, content=BODY) as response,
        ):
            lines = response.aiter_lines()
            alive = [line for line in [await anext(lines) for _ in range(3)] if line]
            go_on.set()
            rest = [line async for line in lines if line]

    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["x-request-id"].startswith("req_")
    assert set(alive) == {": keep-alive"}
    assert '"code":"denied"' in rest[-1]
    assert "[DONE]" not in "".join(rest)


async def test_the_sdk_ignores_signs_of_life(open_site: OpenSite, sdk: Sdk):
    async with open_site(patience=Patience(hold=0.05, keep_alive=0.05)) as site:

        async def script(submitted: Submitted) -> None:
            await asyncio.sleep(0.2)  # the pause of a slow model: what is under test comes at an interval
            await submitted.reply()

        site.script = script
        async with sdk(site) as client:
            assert await read(client) == ("Try descaling.", "stop")


async def test_a_stream_that_waits_no_longer_says_pending(site: Site, sdk: Sdk):
    async def script(submitted: Submitted) -> None:
        await submitted.deltas("call-1", FIRST)

    site.script = script
    async with sdk(site) as client:
        with pytest.raises(openai.APIError) as raised:
            await read(client, extra_headers={"x-allweather-wait": "1"})

    assert raised.value.code == "pending"


async def test_a_stream_without_content_that_waits_no_longer_is_a_504(site: Site, sdk: Sdk):
    async def never(submitted: Submitted) -> None:
        """No answer."""

    site.script = never
    async with sdk(site) as client:
        with pytest.raises(openai.InternalServerError) as raised:
            await read(client, extra_headers={"x-allweather-wait": "0"})

    assert raised.value.code == "pending"


async def test_a_reader_that_leaves_frees_its_place(site: Site, sdk: Sdk):
    async def script(submitted: Submitted) -> None:
        await submitted.deltas("call-1", FIRST)

    site.script = script
    async with sdk(site) as client:
        stream = await client.chat.completions.create(model="triage", messages=HELLO, stream=True)
        await anext(aiter(stream))
        assert site.room.count == 1
        await stream.close()

        await eventually(lambda: site.room.count == 0)


async def test_many_streams_do_not_mix(site: Site, sdk: Sdk):
    async def script(submitted: Submitted) -> None:
        said = submitted.body["messages"][0]["content"]
        call = f"call of {said}"
        for number, word in enumerate(said):
            await submitted.deltas(call, (chunk(word),), first=number)
        await submitted.deltas(call, END, first=len(said))
        await submitted.reply(ai_call_id=call)

    site.script = script
    async with sdk(site) as client:

        async def ask(n: int) -> str:
            stream = await client.chat.completions.create(
                model="triage", messages=[{"role": "user", "content": f"ticket {n}"}], stream=True
            )
            return "".join([c.delta.content or "" async for part in stream for c in part.choices])

        assert await asyncio.gather(*(ask(n) for n in range(20))) == [f"ticket {n}" for n in range(20)]
