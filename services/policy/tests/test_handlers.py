"""The Kafka door: every record, whatever is in it, becomes one cleared record with a clear verdict."""

import base64
import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allweather.contracts import config, headers, ids, records, topics
from allweather.contracts.model import digest
from allweather.contracts.slip import ApiHeaders, Dialect, Priority, Slip
from allweather.messaging import Record
from allweather.policy import files
from allweather.policy.decision import Policy
from allweather.policy.handlers import ClearRequests
from allweather.policy.intake import INLINE_LIMIT
from allweather.runtime.payloads import MemoryPayloads

CONFIG = Path(__file__).parents[3] / "config"
CONFIGURATION = config.load(CONFIG)
POLICY = Policy(files.load(CONFIG / "policies", CONFIGURATION), CONFIGURATION)
SECRET = b"s" * 32
NOW = 1_795_000_000_000
BODY = b'{"model": "triage", "messages": [{"role": "user", "content": "My machine leaks."}]}'


def record(value: bytes | None = BODY, tenant: str = "demo", **given: str | bytes | None) -> Record:
    named = {name.replace("_", "-") if not name.startswith("ce_") else name: value for name, value in given.items()}
    return of(value, named, tenant)


def of(value: bytes | None, given: Mapping[str, str | bytes | None], tenant: str = "demo") -> Record:
    raw = tuple((name, text.encode() if isinstance(text, str) else text) for name, text in given.items())
    return Record(topics.requests(tenant), 1, 42, NOW, None, value, raw)


def clearing(store: MemoryPayloads | None = None) -> ClearRequests:
    kept = store or MemoryPayloads()

    async def read(reference: str) -> bytes | None:
        return await kept.get(reference) if reference in kept._contents else None  # pyright: ignore[reportPrivateUsage]

    return ClearRequests(POLICY, SECRET, read_body=read, keep_body=kept.put)


async def clear(*batch: Record, store: MemoryPayloads | None = None) -> list[tuple[Slip, records.Envelope]]:
    outputs = await clearing(store)(batch)
    assert [message.topic for message in outputs.messages] == [topics.CLEARED] * len(batch)
    envelopes = [records.decode(message.value) for message in outputs.messages]
    assert [message.key for message in outputs.messages] == [str(e.read_slip().request_id).encode() for e in envelopes]
    return [(envelope.read_slip(), envelope) for envelope in envelopes]


async def slip_of(one: Record) -> Slip:
    return (await clear(one))[0][0]


async def test_a_good_request_is_permitted_with_its_body_unchanged():
    ((slip, envelope),) = await clear(record(ce_id="ticket-1"))

    assert slip.verdict.effect == "permit"
    assert slip.verdict.rules == ("models/demo",)
    assert slip.verdict.policy_digest == POLICY.rules.digest
    assert bytes(envelope.body) == BODY
    assert slip.body_digest == digest(BODY)
    assert slip.request_id == ids.request_id("demo", "ticket-1")
    assert (slip.route, slip.tenant, slip.dialect) == ("triage", "demo", Dialect.OPENAI_CHAT)
    assert (slip.accepted_at_ms, slip.deadline_ms, slip.priority) == (NOW, NOW + 86_400_000, Priority.BULK)
    assert slip.reply.topic == "ai.public.replies.demo.v1"


@pytest.mark.parametrize(
    ("dialect", "asked"),
    [
        (Dialect.OPENAI_CHAT, {"messages": [{"role": "user", "content": "Hi"}]}),
        (Dialect.OPENAI_RESPONSES, {"input": "Hi"}),
        (Dialect.OPENAI_EMBEDDINGS, {"input": "Hi"}),
        (Dialect.ANTHROPIC_MESSAGES, {"max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}),
    ],
)
async def test_a_record_may_be_in_any_dialect_and_is_read_in_its_own(dialect: Dialect, asked: dict[str, object]):
    streams = dialect is not Dialect.OPENAI_EMBEDDINGS
    route = "triage" if streams else "documents"
    body = json.dumps({"model": route, "stream": True} | asked).encode()
    slip = await slip_of(record(body, ai_dialect=dialect))
    wrong = await slip_of(record(b'{"model": "triage"}', ai_dialect=dialect))

    assert (slip.dialect, slip.verdict.effect, slip.route, slip.stream) == (dialect, "permit", route, streams)
    assert (wrong.dialect, wrong.verdict.effect) == (dialect, "invalid")
    assert wrong.verdict.param in {*asked}


@pytest.mark.parametrize(
    ("dialect", "body", "reason"),
    [
        (Dialect.OPENAI_EMBEDDINGS, {"model": "triage", "input": "Hi"}, "make no vectors"),
        (
            Dialect.OPENAI_CHAT,
            {"model": "documents", "messages": [{"role": "user", "content": "Hi"}]},
            "answer no conversations",
        ),
    ],
)
async def test_a_route_embeds_or_talks(dialect: Dialect, body: dict[str, object], reason: str):
    slip = await slip_of(record(json.dumps(body).encode(), ai_dialect=dialect))

    assert (slip.verdict.effect, slip.verdict.code) == ("invalid", "unsupported_capability")
    assert reason in (slip.verdict.reason or "")


async def test_the_same_record_is_cleared_to_the_same_bytes():
    first, second = await clearing()([record(ce_id="a")]), await clearing()([record(ce_id="a")])

    assert first.messages == second.messages


async def test_two_submissions_of_one_request_are_different_events():
    one, two = record(ce_id="a"), record(ce_id="a", reply_topic="ai.public.replies.demo.care.v1")
    outputs = await clearing()([one, Record(two.topic, 1, 43, NOW, None, two.value, two.headers)])

    first, second = (dict(message.headers) for message in outputs.messages)
    assert first[headers.CE_SUBJECT] == second[headers.CE_SUBJECT]
    assert first[headers.CE_ID] != second[headers.CE_ID]


async def test_the_record_is_a_cloud_event_that_continues_the_trace():
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    outputs = await clearing()([record(traceparent=trace, tracestate="x" * 600)])

    given = dict(outputs.messages[0].headers)
    assert given[headers.CE_TYPE] == b"ai.request.cleared"
    assert given[headers.CE_TENANT] == b"demo"
    assert given[headers.CE_CAUSATION] == b"ai.public.requests.demo.v1/1/42"
    assert given[headers.TRACEPARENT] == trace.encode()
    assert headers.TRACESTATE not in given


# Ids


async def test_an_idempotency_key_names_the_request_before_the_event_id():
    assert (await slip_of(record(idempotency_key="k", ce_id="e"))).request_id == ids.request_id("demo", "k")


async def test_a_record_without_any_key_is_named_by_its_position():
    expected = ids.request_id("demo", "ai.public.requests.demo.v1/1/42")

    assert (await slip_of(record())).request_id == expected
    assert (await slip_of(record(ce_id=""))).request_id == expected


async def test_the_topic_says_who_asks_whatever_headers_claim():
    slip = await slip_of(record(tenant="other", ce_tenantid="demo", ce_id="x"))

    assert slip.tenant == "other"
    assert slip.request_id != ids.request_id("demo", "x")


# Bad input

STRUCTURED = {"content-type": "application/cloudevents+json; charset=UTF-8"}


@pytest.mark.parametrize(
    ("value", "given", "code", "param"),
    [
        (None, {}, "empty_body", None),
        (b"", {}, "empty_body", None),
        (b"{not json", {}, "invalid_json", None),
        (b"\xff\xfe", {}, "invalid_json", None),
        (b'{"model": "triage"}', {}, "missing_required_parameter", "messages"),
        (BODY.replace(b"triage", b"gpt-9"), {}, "model_not_found", "model"),
        (BODY, {"ai-dialect": "klingon"}, "unknown_dialect", "ai-dialect"),
        (BODY, {"ai-dialect": b"\xff"}, "invalid_header", "ai-dialect"),
        (BODY, {"ai-priority": "urgent"}, "invalid_header", "ai-priority"),
        (BODY, {"ai-deadline": "2001-01-01T00:00:00Z"}, "deadline_in_past", "ai-deadline"),
        (BODY, {"ai-deadline": "-1"}, "deadline_in_past", "ai-deadline"),
        (BODY, {"ai-deadline": "0"}, "deadline_in_past", "ai-deadline"),
        (BODY, {"ai-deadline": "2001-01-01T00:00:00"}, "invalid_header", "ai-deadline"),
        (BODY, {"ai-deadline": "soon"}, "invalid_header", "ai-deadline"),
        (BODY, {"ai-deadline": "nan"}, "invalid_header", "ai-deadline"),
        (BODY, {"ai-region": "eu, us; drop table"}, "invalid_header", "ai-region"),
        (BODY, {"ai-region": ",".join(f"r{n}" for n in range(17))}, "invalid_header", "ai-region"),
        (BODY, {"ai-data-class": "Top Secret"}, "invalid_header", "ai-data-class"),
        (BODY, {"ai-api-version": "2023-06-01\r\nx-api-key: mine"}, "invalid_header", "ai-api-version"),
        (BODY, {"ai-api-betas": "a" * 513}, "invalid_header", "ai-api-betas"),
        (BODY, {"ce_id": b"\xff\xfe"}, "invalid_header", "ce_id"),
        (BODY, {"idempotency-key": b"\xff"}, "invalid_header", "idempotency-key"),
        (BODY, {"reply-topic": "ai.public.replies.other.v1"}, "reply_topic_not_allowed", "reply-topic"),
        (BODY, {"reply-topic": "ai.internal.results.v1"}, "reply_topic_not_allowed", "reply-topic"),
        (BODY, {"kafka_replyTopic": b"\xff\xff"}, "reply_topic_not_allowed", "kafka_replyTopic"),
        (BODY, {"reply_to": "somewhere"}, "reply_topic_not_allowed", "reply_to"),
        (b"{}", {"content-type": "application/cloudevents-batch+json"}, "unsupported_event", None),
        (b"{broken", STRUCTURED, "invalid_event", None),
        (None, STRUCTURED, "invalid_event", None),
        (b'{"id": 7, "data": {}}', STRUCTURED, "invalid_event", None),
        (b'{"id": "a", "data_base64": "%%"}', STRUCTURED, "invalid_event", None),
        (b'{"id": "a"}', STRUCTURED, "empty_body", None),
        (b'{"id": "a", "data": "text"}', STRUCTURED, "invalid_type", None),
        (b'{"id": "a", "data": {"model": 1}}', STRUCTURED, "invalid_type", "model"),
    ],
)
async def test_bad_input_becomes_an_invalid_verdict_at_the_default_topic(
    value: bytes | None, given: dict[str, str | bytes], code: str, param: str | None
):
    ((slip, envelope),) = await clear(of(value, given))

    assert (slip.verdict.effect, slip.verdict.code, slip.verdict.param) == ("invalid", code, param)
    assert slip.verdict.reason
    assert slip.verdict.reason.isprintable()
    assert slip.reply.topic == "ai.public.replies.demo.v1"
    assert bytes(envelope.body) == b"null"


async def test_an_unknown_model_is_told_what_exists():
    slip = await slip_of(record(BODY.replace(b"triage", b"gpt-9")))

    assert slip.verdict.reason is not None
    assert "'gpt-9' does not exist. There are: " in slip.verdict.reason
    assert "deep-analysis" in slip.verdict.reason


async def test_a_bad_record_does_not_touch_its_neighbours():
    good, bad, null = await clear(record(ce_id="a"), record(b"{", ce_id="b"), record(None, ce_id="c"))

    assert [s.verdict.effect for s, _ in (good, bad, null)] == ["permit", "invalid", "invalid"]


@given(
    value=st.none() | st.binary(max_size=60) | st.just(BODY),
    given_headers=st.dictionaries(
        st.sampled_from(
            [
                *(headers.CE_ID, headers.CONTENT_TYPE, headers.DIALECT, headers.DEADLINE, headers.REGION),
                *(headers.DOOR, headers.REPLY_TOPIC, headers.REPLY_PARTITION, headers.SPRING_REPLY_PARTITION),
                *(headers.BODY_REF, headers.SPRING_CORRELATION_ID, headers.IDEMPOTENCY_KEY, headers.PRIORITY),
            ]
        ),
        st.none() | st.binary(max_size=12),
    ),
)
async def test_no_record_is_without_a_verdict(value: bytes | None, given_headers: dict[str, bytes | None]):
    slip = await slip_of(of(value, given_headers))

    assert slip.verdict.effect in {"permit", "invalid"}
    assert slip.tenant == "demo"
    assert slip.deadline_ms > slip.accepted_at_ms


# Events


@pytest.mark.parametrize("data", [{"data": json.loads(BODY)}, {"data_base64": base64.b64encode(BODY).decode()}])
async def test_a_structured_event_is_understood_even_beside_binary_headers(data: dict[str, Any]):
    event = {"specversion": "1.0", "type": "x", "source": "/crm", "id": "ticket-9"} | data

    slip = await slip_of(of(json.dumps(event).encode(), STRUCTURED | {"ce_id": "misleading"}))

    assert slip.verdict.effect == "permit"
    assert slip.request_id == ids.request_id("demo", "ticket-9")


# Hints


async def test_hints_are_read_from_headers():
    slip = await slip_of(
        record(ai_priority="interactive", ai_deadline="1.5", ai_region="EU, us", ai_data_class="internal")
    )

    assert (slip.priority, slip.deadline_ms, slip.data_class) == (Priority.INTERACTIVE, NOW + 1500, "internal")
    assert slip.verdict.regions == ("eu", "us")


async def test_a_deadline_may_be_a_time_with_its_zone():
    slip = await slip_of(record(ai_deadline="2026-11-18T13:07:40.5+01:00"))

    assert slip.deadline_ms == 1_795_003_660_500


async def test_a_deadline_beyond_the_park_limit_is_the_park_limit():
    assert (await slip_of(record(ai_deadline="1e300"))).deadline_ms == NOW + 86_400_000


# Replies


@pytest.mark.parametrize(
    ("given", "partition"),
    [
        ({"reply-topic": "ai.public.replies.demo.care.v1"}, None),
        ({"reply-topic": "ai.public.replies.demo.care.v1", "reply-partition": "3"}, 3),
        (
            {"kafka_replyTopic": "ai.public.replies.demo.care.v1", "kafka_replyPartition": b"\x00\x00\x01\x00"},
            256,
        ),
        ({"reply_to": "ai.public.replies.demo.care.v1"}, None),
        ({"reply-topic": "ai.public.replies.demo.care.v1", "kafka_replyTopic": "ai.public.replies.demo.v1"}, None),
    ],
)
async def test_reply_addresses_of_three_conventions_are_understood(
    given: dict[str, str | bytes], partition: int | None
):
    slip = await slip_of(of(BODY, given))

    assert slip.verdict.effect == "permit"
    assert (slip.reply.topic, slip.reply.partition) == ("ai.public.replies.demo.care.v1", partition)


async def test_a_malformed_partition_is_told_on_the_topic_that_was_named():
    named = {"reply-topic": "ai.public.replies.demo.care.v1"}
    for wrong in ({"reply-partition": "three"}, {"kafka_replyPartition": b"\x01"}, {"reply-partition": "9" * 30}):
        slip = await slip_of(of(BODY, named | wrong))

        assert slip.verdict.code == "invalid_header"
        assert (slip.reply.topic, slip.reply.partition) == ("ai.public.replies.demo.care.v1", None)


async def test_correlation_headers_are_echoed_byte_for_byte():
    opaque = bytes(range(256))

    slip = await slip_of(of(BODY, {"kafka_correlationId": opaque, "correlation_id": "abc", "other": "x"}))

    assert {name: base64.b64decode(value) for name, value in slip.reply.echo} == {
        "kafka_correlationId": opaque,
        "correlation_id": b"abc",
    }


async def test_a_signed_door_is_answered_and_a_forged_one_is_ignored():
    request = ids.request_id("demo", "a")
    door = ids.DoorAddress("door-1", 2)

    signed = await slip_of(record(ce_id="a", ai_door=door.sign(request, SECRET)))
    forged = await slip_of(record(ce_id="a", ai_door=door.sign(request, b"guess")))
    stolen = await slip_of(record(ce_id="b", ai_door=door.sign(request, SECRET)))

    assert (signed.reply.topic, signed.reply.partition, signed.reply.door) == (topics.DOOR, 2, "door-1")
    assert forged.reply.topic == stolen.reply.topic == "ai.public.replies.demo.v1"


# Large bodies


def large() -> bytes:
    return BODY.replace(b"leaks", b"leaks" * (INLINE_LIMIT // 5))


async def test_a_large_body_travels_by_claim_check():
    store = MemoryPayloads()

    ((slip, envelope),) = await clear(record(large(), ce_id="a"), store=store)

    assert slip.verdict.effect == "permit"
    assert slip.body_ref == slip.body_digest == digest(large())
    assert bytes(envelope.body) == b"null"
    assert await store.get(slip.body_digest) == large()


async def test_a_body_that_the_door_has_stored_is_read_and_judged():
    store = MemoryPayloads()
    reference = ids.BodyReference(await store.put(large())).sign(ids.request_id("demo", "a"), SECRET)

    ((slip, _),) = await clear(record(b"", ce_id="a", ai_body_ref=reference), store=store)

    assert slip.verdict.effect == "permit"
    assert slip.body_ref == slip.body_digest == digest(large())


async def test_a_reference_that_was_signed_for_another_request_is_not_followed():
    store = MemoryPayloads()
    reference = ids.BodyReference(await store.put(large())).sign(ids.request_id("other", "a"), SECRET)

    ((slip, _),) = await clear(record(b"", ce_id="a", ai_body_ref=reference), store=store)

    assert slip.verdict.code == "empty_body"
    assert slip.body_ref is None


async def test_a_stored_body_that_is_missing_makes_the_request_invalid():
    request = ids.request_id("demo", "a")
    reference = ids.BodyReference(digest(os.urandom(8))).sign(request, SECRET)

    assert (await slip_of(record(b"", ce_id="a", ai_body_ref=reference))).verdict.code == "body_unavailable"


# Decisions


async def test_a_model_that_is_not_on_the_tenants_list_is_denied():
    slip = await slip_of(record(BODY.replace(b"triage", b"deep-analysis"), tenant="other"))

    assert (slip.verdict.effect, slip.verdict.code) == ("deny", "not_permitted")


async def test_personal_data_of_europeans_is_processed_there():
    slip = await slip_of(record(ai_data_class="personal-eu"))

    assert slip.verdict.regions == ("eu",)
    assert slip.verdict.rules == ("models/demo", "residency/personal-eu")


async def test_a_request_that_nothing_behind_its_route_may_serve_is_denied_at_once():
    slip = await slip_of(record(BODY.replace(b"triage", b"claude-haiku-4-5"), ai_data_class="personal-eu"))

    assert (slip.verdict.effect, slip.verdict.code) == ("deny", "no_permitted_deployment")
    assert slip.verdict.reason is not None
    assert "in eu" in slip.verdict.reason


async def test_a_capability_that_nothing_permitted_offers_is_told():
    image = b'[{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]'
    body = BODY.replace(b'"My machine leaks."', image)

    slip = await slip_of(record(body, ai_data_class="confidential"))

    assert (slip.verdict.effect, slip.verdict.code) == ("invalid", "unsupported_capability")
    assert slip.verdict.param == "messages"
    assert slip.verdict.reason is not None
    assert "offers vision, which 'messages' asks for. No deployment of the catalogue can" in slip.verdict.reason


async def test_a_capability_that_others_offer_names_them():
    tools = b'{"parallel_tool_calls": true, "tools": [{"type": "function", "function": {"name": "look"}}],'
    body = BODY.replace(b'"triage"', b'"openai/gpt-oss-120b"').replace(b"{", tools, 1)

    slip = await slip_of(record(body))

    assert slip.verdict.param == "parallel_tool_calls"
    assert slip.verdict.reason is not None
    assert "These could: anthropic/claude-haiku-4-5, " in slip.verdict.reason


async def test_the_version_and_the_betas_of_the_callers_api_travel_along():
    slip = await slip_of(record(ai_api_version="2026-10-21", ai_api_betas="a-2025-01-01,b_2"))

    assert slip.api == ApiHeaders(version="2026-10-21", betas="a-2025-01-01,b_2")
    assert (await slip_of(record())).api is None


async def test_a_denied_request_travels_without_its_body():
    ((slip, envelope),) = await clear(record(large(), tenant="nobody", ce_id=str(uuid.uuid4())))

    assert slip.verdict.effect == "deny"
    assert bytes(envelope.body) == b"null"
    assert slip.body_ref is None
