"""`POST /v1/chat/completions` without streaming: the official SDK, and everything that can be wrong with a call."""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import openai
import pytest

from allweather.contracts import headers, ids, topics
from allweather.failpoints import Failpoints
from allweather.ingest.replies import Reply
from allweather.ingest.submission import INLINE_LIMIT
from allweather.ingest.testing import ANSWER, DOOR, KEY, OTHER_KEY, SECRET, Site, Submitted
from allweather.messaging.testing import eventually

Sdk = Callable[..., openai.AsyncOpenAI]
OpenSite = Callable[..., AbstractAsyncContextManager[Site]]
CHAT = "/v1/chat/completions"
BODY = b'{"model": "triage",  "messages": [{"role": "user", "content": "My machine leaks."}]}'
HELLO: Any = [{"role": "user", "content": "My machine leaks."}]


def error_of(response: httpx.Response) -> dict[str, Any]:
    """The error in OpenAI's envelope; every response has an id to quote."""
    assert response.headers["x-request-id"]
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


async def raw(site: Site, sent: bytes) -> bytes:
    """What the door says to bytes that no client library would send, until it closes the connection."""
    host, _, port = site.base_url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


async def never(submitted: Submitted) -> None:
    """A pipeline that does not answer."""


# Answers


async def test_the_sdk_gets_the_answer_and_how_it_came_about(site: Site, sdk: Sdk):
    async def script(submitted: Submitted) -> None:
        await submitted.reply(ai_deployment="openai/gpt-5.2", ai_region="eu", ai_cost_usd="0.001")

    site.script = script
    async with sdk(site) as client:
        raw = await client.chat.completions.with_raw_response.create(model="triage", messages=HELLO)

    assert raw.parse().choices[0].message.content == "Try descaling."
    assert {name: raw.headers[f"x-allweather-{name}"] for name in ("outcome", "model", "deployment", "region")} == {
        "outcome": "answered",
        "model": "gpt-5.2",
        "deployment": "openai/gpt-5.2",
        "region": "eu",
    }
    assert (raw.headers["x-allweather-attempts"], raw.headers["x-allweather-cost-usd"]) == ("1", "0.001")
    assert ids.parse_public_id(raw.headers["x-request-id"], "demo", SECRET) == site.seen[0].request_id


async def test_the_synchronous_sdk_works_as_well(site: Site):
    def ask() -> str | None:
        with openai.OpenAI(base_url=f"{site.base_url}/v1", api_key=KEY, max_retries=0) as client:
            return client.chat.completions.create(model="triage", messages=HELLO).choices[0].message.content

    assert await asyncio.to_thread(ask) == "Try descaling."


async def test_the_record_is_what_an_application_would_publish(site: Site, http: httpx.AsyncClient):
    hints = {"x-allweather-region": "eu", "x-allweather-data-class": "internal", "traceparent": "00-ab-cd-01"}

    await http.post(CHAT, content=BODY, headers=hints | {"reply-topic": "x", "ai-priority": "bulk", "ai-door": "x"})

    record = site.seen[0].record
    given = {name: (value or b"").decode() for name, value in record.headers}
    assert record.topic == topics.requests("demo")
    assert record.value == BODY
    assert record.key == str(site.seen[0].request_id).encode()
    assert (given["ai-region"], given["ai-data-class"], given["traceparent"]) == ("eu", "internal", "00-ab-cd-01")
    assert (given["ai-priority"], given["ai-deadline"]) == ("interactive", "600")
    assert uuid.UUID(given["ce_id"]).version == 7
    assert ids.DoorAddress.verify(given["ai-door"], site.seen[0].request_id, SECRET) == DOOR
    assert "reply-topic" not in given


async def test_many_callers_each_get_their_own_answer(site: Site, sdk: Sdk):
    async def script(submitted: Submitted) -> None:
        said = submitted.body["messages"][0]["content"]
        message = {"role": "assistant", "content": said}
        await submitted.reply(ANSWER | {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})

    site.script = script
    async with sdk(site) as client:

        async def ask(n: int) -> str | None:
            answer = await client.chat.completions.create(
                model="triage", messages=[{"role": "user", "content": f"ticket {n}"}]
            )
            return answer.choices[0].message.content

        answers = await asyncio.gather(*(ask(n) for n in range(50)))

    assert answers == [f"ticket {n}" for n in range(50)]
    assert site.room.count == 0


async def test_an_outcome_that_is_no_answer_keeps_its_status_and_is_not_worth_a_retry(site: Site, sdk: Sdk):
    denied = {"error": {"message": "No.", "type": "permission_error", "param": None, "code": "model_not_allowed"}}

    async def script(submitted: Submitted) -> None:
        await submitted.reply(denied, status=403, outcome="denied")

    site.script = script
    async with sdk(site, max_retries=3) as client:
        with pytest.raises(openai.PermissionDeniedError) as raised:
            await client.chat.completions.create(model="triage", messages=HELLO)

    assert raised.value.code == "model_not_allowed"
    assert raised.value.response.headers["x-should-retry"] == "false"
    assert len(site.seen) == 1


async def test_a_reply_that_went_astray_is_found_in_the_view(site: Site, http: httpx.AsyncClient):
    async def script(submitted: Submitted) -> None:
        site.statuses.settled[submitted.request_id] = Reply(200, b'{"found": true}', {headers.OUTCOME: "answered"})

    site.script = script
    response = await http.post(CHAT, content=BODY)

    assert (response.status_code, response.json()) == (200, {"found": True})


# Authentication


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer aw_wrong_0123456789abcdef",
        f"Basic {KEY}",
        KEY,
        "Bearer ' OR 1=1--",
        f"Bearer {KEY}x",
        f"Bearer {KEY[:-1]}",
        "Bearer " + "x" * 10_000,
        "Bearer \xff\xfe",
    ],
)
async def test_a_wrong_key_is_a_401_and_the_body_is_not_read(site: Site, authorization: str | None):
    given = {} if authorization is None else {"authorization": authorization.encode("latin-1")}
    async with httpx.AsyncClient(base_url=site.base_url) as client:
        response = await client.post(CHAT, content=BODY, headers=given)  # pyright: ignore[reportArgumentType] - bytes

    assert (response.status_code, error_of(response)["code"]) == (401, "invalid_api_key")
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.headers["connection"] == "close"
    assert site.seen == []


async def test_two_keys_in_one_request_are_none(site: Site):
    given = [("authorization", f"Bearer {KEY}"), ("authorization", f"Bearer {OTHER_KEY}")]
    async with httpx.AsyncClient(base_url=site.base_url) as client:
        response = await client.post(CHAT, content=BODY, headers=given)

    assert response.status_code == 401


async def test_the_scheme_may_be_written_in_lower_case(site: Site):
    async with httpx.AsyncClient(base_url=site.base_url) as client:
        response = await client.post(CHAT, content=BODY, headers={"authorization": f"bearer {KEY}"})

    assert response.status_code == 200


# Bodies


@pytest.mark.parametrize(
    ("body", "code", "part"),
    [
        (b"", "empty_body", "no body"),
        (b"{", "invalid_json", "line 1, column 2"),
        (b'{\n  "model" "x"}', "invalid_json", "expected ':' (line 2, column 11)"),
        (b'{"model": "\xff"}', "invalid_json", "not UTF-8"),
        (b'{"n": NaN}', "invalid_json", "invalid character"),
        (b'{"a":' + b"[" * 100_000, "invalid_json", "nested too deeply"),
        (b"{} {}", "invalid_json", "trailing"),
    ],
)
async def test_a_body_that_is_no_json_is_refused_with_its_place(
    site: Site, http: httpx.AsyncClient, body: bytes, code: str, part: str
):
    response = await http.post(CHAT, content=body)

    error = error_of(response)
    assert (response.status_code, error["code"], error["type"]) == (400, code, "invalid_request_error")
    assert part in error["message"]
    assert site.seen == []


async def test_any_json_is_passed_on_for_policy_to_judge(site: Site, http: httpx.AsyncClient):
    for body in (b"[]", b"7", b'{"stream": "yes"}'):
        await http.post(CHAT, content=body)

    assert [submitted.record.value for submitted in site.seen] == [b"[]", b"7", b'{"stream": "yes"}']


async def test_a_body_over_the_limit_is_refused_before_it_is_read(site: Site):
    head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Length: {(32 << 20) + 1}\r\n\r\n"

    response = await raw(site, head.encode())

    assert response.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in response
    assert b'"code":"body_too_large"' in response


async def test_a_body_without_declared_length_is_refused_at_the_limit(site: Site, http: httpx.AsyncClient):
    async def endless() -> AsyncGenerator[bytes]:
        for _ in range(40):
            yield b" " * (1 << 20)

    try:
        response = await http.post(CHAT, content=endless())
        assert response.status_code == 413
    except httpx.TransportError:
        pass  # the door may close the connection while the client still sends
    assert site.seen == []


async def test_a_large_body_travels_by_claim_check(site: Site, http: httpx.AsyncClient):
    body = BODY.replace(b"leaks", b"leaks" * (INLINE_LIMIT // 5))

    response = await http.post(CHAT, content=body)

    record = site.seen[0].record
    reference = ids.BodyReference.verify(record.text(headers.BODY_REF) or "", site.seen[0].request_id, SECRET)
    assert response.status_code == 200
    assert record.value == b""
    assert reference is not None
    assert await site.payloads.get(reference.digest) == body


async def test_compressed_bodies_are_not_opened(site: Site, http: httpx.AsyncClient):
    response = await http.post(CHAT, content=BODY, headers={"content-encoding": "gzip"})

    assert (response.status_code, error_of(response)["code"]) == (415, "unsupported_encoding")


# Headers


@pytest.mark.parametrize(
    "given",
    [
        {"x-allweather-region": "x" * 513},
        {"traceparent": "x" * 513},
        {"idempotency-key": ""},
        {"idempotency-key": "x" * 256},
        {"idempotency-key": "caf\xe9"},
        {"x-allweather-wait": "soon"},
        {"x-allweather-wait": "-1"},
    ],
)
async def test_headers_that_cannot_be_passed_on_are_refused(site: Site, http: httpx.AsyncClient, given: dict[str, str]):
    raw = {name: value.encode("latin-1") for name, value in given.items()}

    response = await http.post(CHAT, content=BODY, headers=raw)  # pyright: ignore[reportArgumentType] - bytes

    assert (response.status_code, error_of(response)["code"]) == (400, "invalid_header")
    assert site.seen == []


async def test_a_header_that_is_there_twice_is_refused(site: Site, http: httpx.AsyncClient):
    given = [("x-allweather-region", "eu"), ("x-allweather-region", "us")]

    response = await http.post(CHAT, content=BODY, headers=given)

    assert (response.status_code, error_of(response)["code"]) == (400, "duplicate_header")


# Idempotency


async def test_the_same_key_is_the_same_request(site: Site, http: httpx.AsyncClient):
    first = await http.post(CHAT, content=BODY, headers={"idempotency-key": "k"})
    second = await http.post(CHAT, content=BODY, headers={"idempotency-key": "k"})

    assert first.headers["x-request-id"] == second.headers["x-request-id"]
    assert site.seen[0].request_id == site.seen[1].request_id == ids.request_id("demo", "k")


async def test_the_same_key_with_another_body_is_a_conflict_before_acceptance(site: Site, http: httpx.AsyncClient):
    await http.post(CHAT, content=BODY, headers={"idempotency-key": "k"})
    response = await http.post(CHAT, content=BODY + b" ", headers={"idempotency-key": "k"})

    assert (response.status_code, error_of(response)["code"]) == (422, "idempotency_conflict")
    assert len(site.seen) == 1


async def test_another_tenants_key_is_another_request(site: Site, http: httpx.AsyncClient):
    await http.post(CHAT, content=BODY, headers={"idempotency-key": "k"})
    other = {"idempotency-key": "k", "authorization": f"Bearer {OTHER_KEY}"}
    response = await http.post(CHAT, content=BODY + b" ", headers=other)

    assert response.status_code == 200
    assert site.seen[0].request_id != site.seen[1].request_id


async def test_without_redis_the_routers_conflict_reaches_only_who_caused_it(site: Site, http: httpx.AsyncClient):
    site.conflicts.away = True
    release = asyncio.Event()

    async def script(submitted: Submitted) -> None:
        if submitted.record.value == BODY:
            await release.wait()
            await submitted.reply()
        else:
            await submitted.conflict()
            release.set()

    site.script = script
    first = asyncio.create_task(http.post(CHAT, content=BODY, headers={"idempotency-key": "k"}))
    await eventually(lambda: len(site.seen) == 1)
    # Another door would not know of the first caller: here the room must forget it for a moment.
    site.room.other_body = lambda request_id, body_digest: False  # pyright: ignore[reportAttributeAccessIssue] - as above
    second = await http.post(CHAT, content=BODY + b" ", headers={"idempotency-key": "k"})

    assert second.status_code == 422
    assert (await first).status_code == 200


async def test_without_redis_a_conflict_at_the_same_door_is_found_there(site: Site, http: httpx.AsyncClient):
    site.conflicts.away = True
    site.script = never
    first = asyncio.create_task(http.post(CHAT, content=BODY, headers={"idempotency-key": "k"}))
    await eventually(lambda: len(site.seen) == 1)

    second = await http.post(CHAT, content=BODY + b" ", headers={"idempotency-key": "k"})
    await site.seen[0].reply()

    assert second.status_code == 422
    assert (await first).status_code == 200


# Waiting


@pytest.mark.parametrize("given", [{"x-allweather-wait": "0"}, {"prefer": "respond-async, wait=0"}])
async def test_giving_up_is_pending_and_never_a_failure(site: Site, http: httpx.AsyncClient, given: dict[str, str]):
    site.script = never

    response = await http.post(CHAT, content=BODY, headers=given)

    public_id = response.headers["x-request-id"]
    assert (response.status_code, error_of(response)["code"]) == (504, "pending")
    assert response.headers["x-should-retry"] == "false"
    assert response.headers["location"] == f"/v1/requests/{public_id}"
    assert ids.parse_public_id(public_id, "demo", SECRET) == site.seen[0].request_id


async def test_the_sdk_does_not_repeat_a_pending_request(site: Site, sdk: Sdk):
    site.script = never
    async with sdk(site, max_retries=3) as client:
        with pytest.raises(openai.InternalServerError) as raised:
            await client.chat.completions.create(
                model="triage", messages=HELLO, extra_headers={"x-allweather-wait": "0"}
            )

    assert raised.value.code == "pending"
    assert len(site.seen) == 1


async def test_a_caller_that_leaves_frees_its_place(site: Site, http: httpx.AsyncClient):
    site.script = never
    call = asyncio.create_task(http.post(CHAT, content=BODY))
    await eventually(lambda: site.room.count == 1)

    call.cancel()

    await eventually(lambda: site.room.count == 0)


async def test_a_closing_door_tells_callers_that_their_requests_go_on(site: Site, http: httpx.AsyncClient):
    site.script = never
    call = asyncio.create_task(http.post(CHAT, content=BODY))
    await eventually(lambda: site.room.count == 1)

    site.room.close()

    assert (await call).status_code == 504


# What is away


async def test_a_broker_that_is_away_is_an_unknown_fate_with_the_key_to_retry(open_site: OpenSite, sdk: Sdk):
    async with open_site(accept_timeout=0.2) as site:
        site.broker.away = True
        async with httpx.AsyncClient(base_url=site.base_url, headers={"authorization": f"Bearer {KEY}"}) as http:
            own = await http.post(CHAT, content=BODY, headers={"idempotency-key": "mine"})
            minted = await http.post(CHAT, content=BODY)
        site.broker.away = False

    assert (own.status_code, error_of(own)["code"]) == (503, "outcome_unknown")
    assert "Idempotency-Key: mine" in error_of(own)["message"]
    assert (own.headers["retry-after"], own.headers["x-should-retry"]) == ("1", "true")
    assert minted.headers["x-should-retry"] == "false"
    assert minted.headers["idempotency-key"] in error_of(minted)["message"]


async def test_a_full_parking_lot_is_told_before_acceptance(site: Site, http: httpx.AsyncClient):
    site.limits.reason = "10000 requests of yours wait already."

    response = await http.post(CHAT, content=BODY)

    assert (response.status_code, error_of(response)["type"]) == (429, "rate_limit_error")
    assert response.headers["retry-after"] == "10"
    assert site.seen == []


async def test_a_tenant_without_topic_does_not_spoil_the_batch_of_others(open_site: OpenSite):
    async with (
        open_site(tenants_with_topics=("demo",)) as site,
        httpx.AsyncClient(base_url=site.base_url, headers={"authorization": f"Bearer {KEY}"}) as http,
    ):
        *good, bad = await asyncio.gather(
            *(http.post(CHAT, content=BODY) for _ in range(5)),
            http.post(CHAT, content=BODY, headers={"authorization": f"Bearer {OTHER_KEY}"}),
        )

    assert [response.status_code for response in good] == [200] * 5
    assert (bad.status_code, error_of(bad)["code"]) == (503, "unavailable")


async def test_a_door_with_too_many_callers_says_so(open_site: OpenSite):
    async with (
        open_site(max_waiting=1) as site,
        httpx.AsyncClient(base_url=site.base_url, headers={"authorization": f"Bearer {KEY}"}) as http,
    ):
        site.script = never
        first = asyncio.create_task(http.post(CHAT, content=BODY))
        await eventually(lambda: site.room.count == 1)

        second = await http.post(CHAT, content=BODY)
        await site.seen[0].reply()

        assert (second.status_code, error_of(second)["code"]) == (503, "overloaded")
        assert (await first).status_code == 200


async def test_a_door_that_dies_after_the_acknowledgement_loses_nothing(open_site: OpenSite):
    async with (
        open_site(failpoints=Failpoints.parse("ingest.after-publish=raise@1")) as site,
        httpx.AsyncClient(base_url=site.base_url, headers={"authorization": f"Bearer {KEY}"}) as http,
    ):
        broken = await http.post(CHAT, content=BODY, headers={"idempotency-key": "k"})
        again = await http.post(CHAT, content=BODY, headers={"idempotency-key": "k"})

    assert (broken.status_code, error_of(broken)["code"]) == (500, "internal_error")
    assert again.status_code == 200
    assert {submitted.request_id for submitted in site.seen} == {ids.request_id("demo", "k")}
