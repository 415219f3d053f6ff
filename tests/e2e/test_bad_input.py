"""Bad input gets a clear error that says what to do, at both doors, and nothing of it or beside it is lost."""

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from allweather.contracts import headers, ids, topics
from allweather.drills.checker import check
from allweather.drills.stage import TENANT, Stage
from allweather.drills.tickets import all_tickets
from allweather.messaging import Message, Record

GOOD = json.dumps(all_tickets()[0].body()).encode()
Given = dict[str, bytes | None]


async def over_http(on: Stage, content: bytes, *, key: str | None = None, **given: str) -> httpx.Response:
    """Post to the chat endpoint as `key` (the tenant's own unless given), with further headers."""
    authorization = {"Authorization": f"Bearer {key or on.system.credentials.key_of(TENANT)}"}
    async with httpx.AsyncClient(base_url=on.system.end_points.http, timeout=30) as client:
        return await client.post("/v1/chat/completions", content=content, headers=authorization | given)


async def over_kafka(on: Stage, value: bytes | None, given: Given | None = None) -> Record:
    """Publish a record as it is; the reply that it gets at the tenant's default topic, known by opaque bytes."""
    key = f"bad-{uuid4()}".encode()
    correlation = b"\xff\x00" + key
    named: Given = {headers.CE_ID: key, headers.CORRELATION_ID: correlation} | (given or {})
    message = Message(topics.requests(TENANT), value, key, tuple(named.items()))
    await on.broker.publisher.publish([message], timeout=5)
    return await reply(on, lambda record: record.header(headers.CORRELATION_ID) == correlation)


async def reply(on: Stage, wanted: Callable[[Record], bool]) -> Record:
    """The first reply at the tenant's default topic that is `wanted`."""
    async with asyncio.timeout(20):
        while True:
            async for record in on.broker.read_all([topics.replies(TENANT)]):
                if wanted(record):
                    return record
            await asyncio.sleep(0.1)


def error_of(body: bytes | None) -> dict[str, Any]:
    return json.loads(body or b"{}")["error"]


BODIES: list[Any] = [
    pytest.param(b'{"model": "triage", ', "JSON", id="malformed JSON"),
    pytest.param(b"\xff\xfe", "UTF-8", id="not UTF-8"),
    pytest.param(b"[1, 2]", "object", id="not an object"),
    pytest.param(b'{"model": "triage"}', "messages", id="no messages"),
    pytest.param(b'{"model": 7, "messages": []}', "model", id="model of a wrong type"),
    pytest.param(b'{"model":' * 100_000 + b"1" + b"}" * 100_000, "nested|model", id="nested deeply"),
]


@pytest.mark.parametrize(("content", "says"), BODIES)
async def test_a_bad_body_over_http_is_a_400_that_says_why(content: bytes, says: str, on: Stage) -> None:
    response = await over_http(on, content)

    assert response.status_code == 400
    assert re.search(says, error_of(response.content)["message"])


@pytest.mark.parametrize(("content", "says"), [*BODIES, pytest.param(None, "body", id="null value")])
async def test_a_bad_body_over_kafka_is_answered_with_the_same_error(
    content: bytes | None, says: str, on: Stage
) -> None:
    answer = await over_kafka(on, content)

    assert answer.text(headers.OUTCOME) == "invalid"
    assert re.search(says, error_of(answer.value)["message"])


async def test_an_unknown_model_is_a_404_that_lists_what_there_is(on: Stage) -> None:
    response = await over_http(on, GOOD.replace(b"triage", b"gpt-9", 1))

    assert response.status_code == 404
    assert error_of(response.content)["code"] == "model_not_found"
    assert "triage" in error_of(response.content)["message"]


async def test_a_body_over_the_limit_is_refused_before_acceptance(on: Stage) -> None:
    response = await over_http(on, b'{"model":"triage","messages":[{"role":"user","content":"' + b"x" * (33 << 20))

    assert response.status_code == 413
    assert "32" in error_of(response.content)["message"]


@pytest.mark.parametrize("key", ["aw_wrong", "' OR 1=1--", "x" * 4000])
async def test_a_wrong_key_is_a_401_whatever_the_body(key: str, on: Stage) -> None:
    response = await over_http(on, b"{", key=key)

    assert response.status_code == 401
    assert error_of(response.content)["code"] == "invalid_api_key"


async def test_a_body_over_a_mebibyte_travels_by_reference_and_is_answered(on: Stage) -> None:
    long = {"model": "gemini-3.5-flash", "messages": [{"role": "user", "content": "word " * 260_000}]}

    response = await over_http(on, json.dumps(long).encode())

    assert response.status_code == 200


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({headers.REPLY_TOPIC: b"ai.internal.results.v1"}, "reply_topic_not_allowed"),
        ({headers.REPLY_TOPIC: b"ai.public.replies.other.v1"}, "reply_topic_not_allowed"),
        ({headers.SPRING_REPLY_TOPIC: b"ai.public.replies.other.v1"}, "reply_topic_not_allowed"),
        ({headers.DEADLINE: b"2020-01-01T00:00:00Z"}, "deadline_in_past"),
    ],
)
async def test_what_may_not_be_asked_for_is_answered_at_the_default_topic(given: Given, code: str, on: Stage) -> None:
    answer = await over_kafka(on, GOOD, given)

    assert error_of(answer.value)["code"] == code


async def test_a_reply_topic_that_does_not_exist_falls_back_to_the_default(on: Stage) -> None:
    answer = await over_kafka(on, GOOD, {headers.REPLY_TOPIC: b"ai.public.replies.demo.nowhere.v1"})

    assert answer.text(headers.OUTCOME) == "answered"
    assert "ai.public.replies.demo.nowhere.v1" in (answer.text(headers.REPLY_FALLBACK) or "")


async def test_headers_that_are_not_text_do_no_harm(on: Stage) -> None:
    odd: Given = {"x-binary": b"\xff\xfe\x00", "x-null": None, headers.SPRING_CORRELATION_ID: b"\x00\x9f\x92\x96"}

    answer = await over_kafka(on, GOOD, odd)

    assert answer.text(headers.OUTCOME) == "answered"
    assert answer.header(headers.SPRING_CORRELATION_ID) == b"\x00\x9f\x92\x96"


async def test_a_structured_cloudevent_is_a_request(on: Stage) -> None:
    event = {"specversion": "1.0", "id": f"event-{uuid4()}", "source": "/crm", "type": "x", "data": json.loads(GOOD)}
    given: Given = {headers.CE_ID: None, headers.CONTENT_TYPE: b"application/cloudevents+json; charset=UTF-8"}
    message = Message(topics.requests(TENANT), json.dumps(event).encode(), b"k", tuple(given.items()))

    await on.broker.publisher.publish([message], timeout=5)

    assert not await on.settled(20, [ids.request_id(TENANT, event["id"])])


async def test_a_structured_cloudevent_with_broken_data_is_answered(on: Stage) -> None:
    answer = await over_kafka(
        on, b'{"specversion": "1.0", "data": ', {headers.CONTENT_TYPE: b"application/cloudevents+json"}
    )

    assert answer.text(headers.OUTCOME) == "invalid"


async def test_the_same_key_with_another_body_is_a_422(on: Stage) -> None:
    key = f"conflict-{uuid4()}"
    first = await over_http(on, GOOD, **{"Idempotency-Key": key})

    second = await over_http(on, GOOD.replace(b"triage", b"gpt-5.2", 1), **{"Idempotency-Key": key})
    again = await over_http(on, GOOD, **{"Idempotency-Key": key})

    assert (first.status_code, second.status_code, again.status_code) == (200, 422, 200)
    assert error_of(second.content)["code"] == "idempotency_conflict"
    assert first.content == again.content


async def test_the_same_id_with_another_body_over_kafka_gets_a_conflict_and_no_second_outcome(on: Stage) -> None:
    key = f"conflict-{uuid4()}".encode()
    request = ids.request_id(TENANT, key.decode())
    await over_kafka(on, GOOD, {headers.CE_ID: key})

    conflict = await over_kafka(on, GOOD.replace(b"triage", b"gpt-5.2", 1), {headers.CE_ID: key})

    assert conflict.text(headers.OUTCOME) == "conflict"
    assert error_of(conflict.value)["code"] == "idempotency_conflict"
    assert len([o for o in (await on.evidence()).outcomes if o.request_id == request]) == 1


async def test_the_same_request_over_kafka_is_answered_again_with_the_same_bytes(on: Stage) -> None:
    key = f"again-{uuid4()}".encode()
    first = await over_kafka(on, GOOD, {headers.CE_ID: key})

    second = await over_kafka(on, GOOD, {headers.CE_ID: key})

    assert (first.value, first.header(headers.CE_ID)) == (second.value, second.header(headers.CE_ID))


async def test_a_request_of_another_tenant_does_not_exist(on: Stage) -> None:
    mine = await over_http(on, GOOD)
    public_id = mine.headers["x-request-id"]
    async with httpx.AsyncClient(base_url=on.system.end_points.http) as client:

        async def look_up(name: str, tenant: str) -> int:
            key = on.system.credentials.key_of(tenant)
            return (await client.get(f"/v1/requests/{name}", headers={"Authorization": f"Bearer {key}"})).status_code

        assert await look_up(public_id, TENANT) == 200
        assert await look_up(public_id, "other") == 404
        assert await look_up(public_id[:-1] + ("0" if public_id[-1] != "0" else "1"), TENANT) == 404
        assert await look_up("req_nonsense", TENANT) == 404


async def test_after_all_that_every_promise_holds_and_good_requests_pass(on: Stage) -> None:
    await over_kafka(on, b"{")
    await over_http(on, b"{")
    request = await on.http.send(f"good-{uuid4()}", all_tickets()[1].body())

    assert not await on.settled(20, [request])
    assert check(await on.evidence()) == []
