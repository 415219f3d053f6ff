"""Files and batches as the official SDKs see them, on a real Postgres; and the feeder, whatever dies meanwhile."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any
from uuid import UUID

import anthropic
import httpx
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from allweather.contracts import headers
from allweather.failpoints import FailpointReached, Failpoints
from allweather.ingest.app import MIGRATIONS
from allweather.ingest.batches.batch import MOST_OPEN, share
from allweather.ingest.batches.feeder import Feeder, feed_batches
from allweather.ingest.batches.lines import parse_id
from allweather.ingest.batches.multipart import Field, Multipart
from allweather.ingest.doors.batches import PREFIX
from allweather.ingest.replies import Reply
from allweather.ingest.testing import ANSWER, KEY, OTHER_KEY, Site, Submitted
from allweather.messaging.tasks import cancel
from allweather.messaging.testing import eventually
from allweather.runtime.migrations import migrate
from allweather.runtime.postgres import open_postgres

CHAT = "/v1/chat/completions"
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "content": [],
    "model": "m",
    "stop_reason": "end_turn",
}


@pytest.fixture
async def site(postgres_dsn: str, open_site: Any) -> AsyncGenerator[Site]:
    """A door with a real database, and an outcome for each request as soon as it is seen."""
    dsn = SecretStr(postgres_dsn)
    await migrate(dsn, schema="ingest", folder=MIGRATIONS)
    async with open_postgres(dsn, name="test") as postgres:
        await postgres.run(lambda c: c.execute("TRUNCATE ingest.batches, ingest.files CASCADE"))
        opening: AbstractAsyncContextManager[Site] = open_site(postgres=postgres)
        async with opening as site:
            site.script = answering(site)
            yield site


def answering(site: Site) -> Any:
    """Each line is answered with its own number; those that ask for it fail."""

    async def script(submitted: Submitted) -> None:
        said = submitted.body["messages"][0]["content"]
        if said == "never":
            return
        body: dict[str, Any]
        if said == "fail":
            body, status, outcome = {"error": {"message": "No.", "type": "x", "code": None}}, 400, "invalid"
        else:
            is_chat = submitted.record.text(headers.DIALECT) != "anthropic.messages"
            body, status, outcome = (ANSWER if is_chat else MESSAGE) | {"id": said}, 200, "answered"
        site.statuses.settled[submitted.request_id] = Reply(
            status, json.dumps(body).encode(), {headers.OUTCOME: outcome}
        )

    return script


@pytest.fixture
async def fed(site: Site) -> AsyncGenerator[None]:
    """A replica that feeds batches."""
    feeding = asyncio.create_task(feed_batches(site.feeding, every=0.05))
    yield
    await cancel(feeding)


@pytest.fixture
async def client(site: Site, sdk: Any) -> AsyncGenerator[openai.AsyncOpenAI]:
    async with sdk(site) as client:
        yield client


@pytest.fixture
async def claude(site: Site) -> AsyncGenerator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(base_url=site.base_url, api_key=KEY, max_retries=0, timeout=20) as client:
        yield client


def line(name: str, said: str, **changed: Any) -> str:
    body = {"model": "triage", "messages": [{"role": "user", "content": said}]}
    return json.dumps({"custom_id": name, "method": "POST", "url": CHAT, "body": body} | changed)


async def uploaded(client: openai.AsyncOpenAI, lines: Sequence[str]) -> str:
    content = ("\n".join(lines) + "\n").encode()
    return (await client.files.create(file=("in.jsonl", content), purpose="batch")).id


async def created(client: openai.AsyncOpenAI, lines: Sequence[str]) -> str:
    file = await uploaded(client, lines)
    batch = await client.batches.create(input_file_id=file, endpoint=CHAT, completion_window="24h")
    return batch.id


async def ended(client: openai.AsyncOpenAI, batch: str) -> Any:
    over = {"completed", "failed", "expired", "cancelled"}
    async with asyncio.timeout(60):
        while (found := await client.batches.retrieve(batch)).status not in over:
            await asyncio.sleep(0.02)
    return found


def read(content: str) -> list[dict[str, Any]]:
    return [json.loads(text) for text in content.splitlines()]


# Files


async def test_a_file_comes_back_as_it_went_in(site: Site, client: openai.AsyncOpenAI):
    content = (b'{"a": "\xc3\xbc"}\r\n\n' + b"x" * 700_000 + b"\n") * 5 + b"no newline at the end"

    file = await client.files.create(file=("in.jsonl", content), purpose="batch")

    assert (file.bytes, file.filename, file.purpose) == (len(content), "in.jsonl", "batch")
    assert (await client.files.content(file.id)).content == content
    assert [each.id for each in (await client.files.list()).data] == [file.id]
    assert (await client.files.retrieve(file.id)) == file
    assert (await client.files.delete(file.id)).deleted
    with pytest.raises(openai.NotFoundError):
        await client.files.content(file.id)


async def test_a_file_of_another_tenant_is_not_there(site: Site, client: openai.AsyncOpenAI, sdk: Any):
    file = await uploaded(client, [line("a", "0")])

    async with sdk(site, api_key=OTHER_KEY) as other:
        assert (await other.files.list()).data == []
        with pytest.raises(openai.NotFoundError):
            await other.files.content(file)
        with pytest.raises(openai.NotFoundError):
            await other.batches.create(input_file_id=file, endpoint=CHAT, completion_window="24h")


@pytest.mark.parametrize(
    ("content_type", "body", "code"),
    [
        ("application/json", b"{}", "invalid_form"),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\nno name\r\n--x--", "invalid_form"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\ncut',
            "invalid_form",
        ),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n{}\r\n--x--',
            "invalid_purpose",
        ),
    ],
)
async def test_what_is_no_upload_is_refused(http: httpx.AsyncClient, content_type: str, body: bytes, code: str):
    response = await http.post("/v1/files", content=body, headers={"content-type": content_type})

    assert (response.status_code, response.json()["error"]["code"]) == (400, code)


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=60), st.integers(1, 200))
def test_a_form_may_be_cut_anywhere(content: bytes, size: int):
    head = b'preamble\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    form = head + content + b"\r\n--bb--\r\nepilogue"
    reading = Multipart(b'multipart/form-data; boundary="bb"')
    form = form.replace(b"--b\r", b"--bb\r")

    found = [each for at in range(0, len(form), size) for each in reading.feed(form[at : at + size])]

    assert found[0] == Field("file", "f")
    assert b"".join(piece for piece in found[1:] if isinstance(piece, bytes)) == content
    assert reading.ended


# Batches


@pytest.mark.usefixtures("fed")
async def test_the_sdk_has_a_batch_answered(site: Site, client: openai.AsyncOpenAI):
    lines = [line(f"n{n}", "fail" if n == 3 else str(n)) for n in range(450)]

    batch = await ended(client, await created(client, lines))

    assert batch.status == "completed"
    assert batch.request_counts.to_dict() == {"total": 450, "completed": 449, "failed": 1}
    output = read((await client.files.content(batch.output_file_id)).text)
    assert {each["custom_id"]: each["response"]["body"]["id"] for each in output} == {
        f"n{n}": str(n) for n in range(450) if n != 3
    }
    errors = read((await client.files.content(batch.error_file_id)).text)
    assert [(each["custom_id"], each["response"]["status_code"]) for each in errors] == [("n3", 400)]
    assert site.seen[0].record.text(headers.PRIORITY) == "bulk"
    assert [each.id for each in (await client.batches.list()).data] == [batch.id]


@pytest.mark.usefixtures("fed")
async def test_a_batch_of_embeddings_says_so_in_its_records(site: Site, client: openai.AsyncOpenAI):
    async def vectors(submitted: Submitted) -> None:
        reply = Reply(200, b'{"object":"list","data":[]}', {headers.OUTCOME: "answered"})
        site.statuses.settled[submitted.request_id] = reply

    site.script = vectors
    lines = [line("a", "", url="/v1/embeddings", body={"model": "documents", "input": "My machine leaks."})]
    file = await uploaded(client, lines)

    batch = await client.batches.create(input_file_id=file, endpoint="/v1/embeddings", completion_window="24h")

    assert (await ended(client, batch.id)).request_counts.completed == 1
    assert site.seen[0].record.text(headers.DIALECT) == "openai.embeddings"


@pytest.mark.usefixtures("fed")
@pytest.mark.parametrize(
    ("lines", "code", "number"),
    [
        (["{"], "invalid_json_line", 1),
        ([line("a", "0"), line("a", "1")], "duplicate_custom_id", 2),
        ([line("a", "0", url="/v1/responses")], "mismatched_endpoint", 1),
        ([line("a", "0", body={"stream": True})], "unsupported_value", 1),
        ([line("a", "0", body=7)], "invalid_type", 1),
        (["", ""], "invalid_number_of_requests", None),
    ],
)
async def test_a_file_that_is_no_batch_fails_and_says_where(
    client: openai.AsyncOpenAI, site: Site, lines: list[str], code: str, number: int | None
):
    batch = await ended(client, await created(client, lines))

    assert batch.status == "failed"
    assert (batch.errors.data[0].code, batch.errors.data[0].line) == (code, number)
    assert site.seen == []


async def test_a_batch_is_asked_for_in_openais_words(client: openai.AsyncOpenAI):
    file = await uploaded(client, [line("a", "0")])

    with pytest.raises(openai.BadRequestError, match="endpoint"):
        await client.batches.create(input_file_id=file, endpoint="/v1/moderations", completion_window="24h")
    with pytest.raises(openai.NotFoundError):
        await client.batches.retrieve("batch_nothing")


async def test_a_file_that_a_batch_reads_cannot_be_deleted(client: openai.AsyncOpenAI):
    file = await uploaded(client, [line("a", "0")])
    await client.batches.create(input_file_id=file, endpoint=CHAT, completion_window="24h")

    with pytest.raises(openai.BadRequestError, match="under way"):
        await client.files.delete(file)


async def test_the_same_key_makes_the_same_batch(client: openai.AsyncOpenAI):
    file = await uploaded(client, [line("a", "0")])
    again = [
        await client.batches.create(
            input_file_id=file, endpoint=CHAT, completion_window="24h", extra_headers={"idempotency-key": "k"}
        )
        for _ in range(2)
    ]

    assert again[0].id == again[1].id


@pytest.mark.usefixtures("fed")
async def test_a_cancelled_batch_keeps_what_was_answered(site: Site, client: openai.AsyncOpenAI):
    batch = await created(client, [line("a", "0"), line("b", "never")])
    await eventually(lambda: len(site.seen) == 2)

    assert (await client.batches.cancel(batch)).status == "cancelling"
    await client.batches.cancel(batch)
    late = next(each for each in site.seen if each.body["messages"][0]["content"] == "never")
    site.statuses.settled[late.request_id] = Reply(409, b'{"error": {}}', {headers.OUTCOME: "cancelled"})
    over = await ended(client, batch)

    assert over.status == "cancelled"
    assert [each["custom_id"] for each in read((await client.files.content(over.output_file_id)).text)] == ["a"]
    errors = read((await client.files.content(over.error_file_id)).text)
    assert [(each["custom_id"], each["error"]["code"]) for each in errors] == [("b", "batch_cancelled")]


async def test_another_feeder_goes_on_and_no_line_becomes_two_requests(site: Site, client: openai.AsyncOpenAI):
    """The first feeder dies after it has published lines and before it has written that down."""
    name = await created(client, [line(f"n{n}", "never" if n == 0 else str(n)) for n in range(300)])
    taken = await site.feeding.library.take("first")
    assert taken is not None
    first = asyncio.create_task(Feeder(replace(site.feeding, holder="first"), taken).run())
    await eventually(lambda: len(site.seen) >= 200)
    await cancel(first)
    await site.feeding.library.give_back("first")

    second = asyncio.create_task(feed_batches(site.feeding, every=0.05))
    await eventually(lambda: len({each.request_id for each in site.seen}) == 300)
    late = next(each for each in site.seen if each.body["messages"][0]["content"] == "never")
    site.statuses.settled[late.request_id] = Reply(200, json.dumps(ANSWER).encode(), {headers.OUTCOME: "answered"})
    batch = await ended(client, name)
    await cancel(second)

    assert (batch.status, batch.request_counts.completed) == ("completed", 300)


@pytest.mark.parametrize(
    ("step", "turn"),
    [
        ("batch.after-validation", 1),
        *(("batch.after-line", turn) for turn in (1, 130, 250)),
        *(("batch.after-lines", turn) for turn in (1, 2)),
        *(("batch.after-progress", turn) for turn in (1, 2)),
        ("batch.before-files", 1),
        ("batch.after-output", 1),
        ("batch.before-end", 1),
    ],
)
async def test_a_feeder_may_die_at_any_step(site: Site, client: openai.AsyncOpenAI, step: str, turn: int):
    """Another one goes on from there: no line is lost, none has two results, and none is two requests."""
    name = await created(client, [line(f"n{n}", "fail" if n == 7 else str(n)) for n in range(250)])
    deadly = replace(site.feeding.acceptance, failpoints=Failpoints.parse(f"{step}=raise@{turn}"))
    taken = await site.feeding.library.take("dying")
    assert taken is not None
    with pytest.raises(FailpointReached):
        await Feeder(replace(site.feeding, holder="dying", acceptance=deadly), taken).run()
    await site.feeding.library.give_back("dying")

    feeding = asyncio.create_task(feed_batches(site.feeding, every=0.05))
    batch = await ended(client, name)
    await cancel(feeding)

    assert batch.request_counts.to_dict() == {"total": 250, "completed": 249, "failed": 1}
    output = read((await client.files.content(batch.output_file_id)).text)
    errors = read((await client.files.content(batch.error_file_id)).text)
    assert sorted(each["custom_id"] for each in output) == sorted(f"n{n}" for n in range(250) if n != 7)
    assert [each["custom_id"] for each in errors] == ["n7"]
    assert len({each.request_id for each in site.seen}) == 250


async def test_only_so_many_lines_of_a_tenant_are_under_way(site: Site, client: openai.AsyncOpenAI):
    for name in "ab":
        await created(client, [line(f"{name}{n}", "never") for n in range(1100)])
    feeding = asyncio.create_task(feed_batches(site.feeding, every=0.05))

    await eventually(lambda: len({each.request_id for each in site.seen}) >= MOST_OPEN, within=30)
    batches = (await client.batches.list()).data
    stored = [await site.feeding.library.batch(parse_id(PREFIX, each.id) or UUID(int=0), "demo") for each in batches]
    await cancel(feeding)

    assert sum(batch.submitted for batch in stored if batch) <= MOST_OPEN
    assert share(3) * 3 <= MOST_OPEN


async def test_nothing_is_published_while_the_tenants_parking_is_full(site: Site, client: openai.AsyncOpenAI):
    site.limits.reason = "full"
    name = await created(client, [line("a", "0")])
    feeding = asyncio.create_task(feed_batches(site.feeding, every=0.05))

    async def begun() -> bool:
        return (await client.batches.retrieve(name)).status == "in_progress"

    async with asyncio.timeout(10):
        while not await begun():
            await asyncio.sleep(0.02)
    assert site.seen == []
    site.limits.reason = None

    assert (await ended(client, name)).status == "completed"
    await cancel(feeding)


# Anthropic's


@pytest.mark.usefixtures("fed")
async def test_anthropics_sdk_has_a_batch_answered(site: Site, claude: anthropic.AsyncAnthropic):
    def asked(name: str, said: str) -> Any:
        messages = [{"role": "user", "content": said}]
        return {"custom_id": name, "params": {"model": "triage", "max_tokens": 10, "messages": messages}}

    batch = await claude.messages.batches.create(requests=[asked("a", "first"), asked("b", "fail")])
    assert (batch.processing_status, batch.request_counts.processing) == ("in_progress", 2)
    async with asyncio.timeout(60):
        while (batch := await claude.messages.batches.retrieve(batch.id)).processing_status != "ended":
            await asyncio.sleep(0.02)

    counts = {"processing": 0, "succeeded": 1, "errored": 1, "canceled": 0, "expired": 0}
    assert batch.request_counts.to_dict() == counts
    results: dict[str, Any] = {r.custom_id: r.result async for r in await claude.messages.batches.results(batch.id)}
    assert (results["a"].type, results["a"].message.id, results["b"].type) == ("succeeded", "first", "errored")
    assert [each.id for each in (await claude.messages.batches.list()).data] == [batch.id]
    assert (await claude.messages.batches.delete(batch.id)).type == "message_batch_deleted"
    with pytest.raises(anthropic.NotFoundError):
        await claude.messages.batches.retrieve(batch.id)


WRONG: list[tuple[Any, str]] = [
    ([], "1 to 50000"),
    ([{"custom_id": "a"}], "requests.0: Missing required parameter"),
    ([{"custom_id": "a", "params": {"stream": True}}], "requests.0: Nobody listens"),
    ([{"custom_id": "a", "params": {}}, {"custom_id": "a", "params": {}}], "requests.1.custom_id"),
    (7, "not as expected"),
]


@pytest.mark.parametrize(("requests", "message"), WRONG)
async def test_a_wrong_message_batch_is_refused_as_a_whole(http: httpx.AsyncClient, requests: Any, message: str):
    response = await http.post("/v1/messages/batches", json={"requests": requests})

    assert response.status_code == 400
    assert response.json()["type"] == "error"
    assert message in response.json()["error"]["message"]
