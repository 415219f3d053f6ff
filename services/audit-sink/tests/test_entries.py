"""Entries: what they say, what they must never say, and that they are canonical whatever the record holds."""

import json
import re
from base64 import b64encode
from typing import Any
from uuid import UUID

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from allweather.audit_sink.entries import GAP, LIMIT, canonical, decode, encode, tame, tamed
from allweather.audit_sink.reading import PIPELINE, entry_of, fingerprint_of, gap_before
from allweather.contracts import headers, ids, topics
from allweather.contracts.examples import Example, all_examples
from allweather.contracts.model import digest
from allweather.contracts.records import EventType
from allweather.messaging.types import Record

CONTENT = ("espresso", "repair", "bGVha3M", "ticket-4711-echo")
EXAMPLES = {example.event: example for example in all_examples() if example.event is not EventType.DELTA}


def record_of(
    topic: str, value: bytes | None, told: dict[str, str | bytes | None] | None = None, *, key: bytes | None = b"key"
) -> Record:
    raw = tuple((name, text.encode() if isinstance(text, str) else text) for name, text in (told or {}).items())
    return Record(topic, 3, 42, 1_795_000_000_000, key, value, raw)


def record_of_example(example: Example) -> Record:
    return record_of(example.topic, example.value, dict(example.headers), key=example.headers["ce_subject"].encode())


def as_text(record: Record) -> list[tuple[str, str | None]]:
    return [(name, None if value is None else b64encode(value).decode()) for name, value in record.headers]


def told(record: Record, index: int = 0) -> dict[str, Any]:
    return json.loads(encode(entry_of(record, index)))


def changed(example: Example, part: str, **fields: Any) -> Record:
    """The record of an example with other fields in one part of its envelope."""
    envelope = json.loads(example.value)
    envelope[part] = {**(envelope[part] or {}), **fields}
    return record_of(example.topic, json.dumps(envelope).encode(), dict(example.headers))


# Printable and not: everything that JSON escapes, the neighbours of UTF-16's peculiarities, plain text.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ["\x7f\u2028\u2029", "\ue000\U0001f600"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
header_values = st.none() | st.binary(max_size=20) | texts.map(str.encode)
known_headers = st.sampled_from(
    [n for n in vars(headers).values() if isinstance(n, str) and n.isascii() and " " not in n]
)


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_an_entry_says_where_its_record_stood_and_whose_request_it_is(example: Example) -> None:
    record = record_of_example(example)
    entry = entry_of(record, 7)
    fields = told(record, 7)

    assert (fields["v"], fields["shard"], fields["index"]) == (1, 3, 7)
    assert (fields["topic"], fields["partition"], fields["offset"]) == (record.topic, 3, 42)
    assert fields["type"] == example.event
    assert fields["tenant"] == "demo"
    assert entry.request_id == UUID(example.headers["ce_subject"]) == UUID(fields["request_id"])
    assert fields["digests"]["value"] == digest(example.value)
    assert fields["digests"]["headers"] == digest(rfc8785.dumps(list(map(list, as_text(record)))))
    assert "malformed" not in fields


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_an_entry_quotes_no_content(example: Example) -> None:
    """The golden examples hold a question, an answer and a correlation id: none of them is in any entry."""
    content = encode(entry_of(record_of_example(example), 0)).decode()

    assert not [word for word in (*CONTENT, "ticket-4711") if word in content and example.event != EventType.SUBMITTED]


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_an_entry_is_canonical_json(example: Example) -> None:
    content = encode(entry_of(record_of_example(example), 0))

    assert rfc8785.dumps(json.loads(content)) == content


def test_a_verdict_is_told_in_full() -> None:
    slip = told(record_of_example(EXAMPLES[EventType.CLEARED]))["slip"]

    assert slip["verdict"]["rules"] == ["residency/personal-eu", "models/demo"]
    assert slip["verdict"]["effect"] == "permit"
    assert slip["needs"] == {"capabilities": ["streaming"], "input_tokens": 34}
    assert slip["dialect"] == "openai.chat", "a default, which the record does not say"
    assert slip["reply"] == {"topic": "ai.public.replies.demo.care.v1"}


def test_a_routing_decision_is_told_with_every_candidate() -> None:
    example = EXAMPLES[EventType.DISPATCHED]

    assert told(record_of_example(example))["data"] == json.loads(example.value)["data"]


def test_a_result_is_told_with_a_digest_of_the_answer() -> None:
    example = EXAMPLES[EventType.ATTEMPTED]
    entry = told(record_of_example(example))

    assert entry["data"]["usage"]["output_tokens"] == 9
    assert entry["data"]["deltas_digest"]
    assert entry["digests"]["response"] == told(record_of_example(EXAMPLES[EventType.SETTLED]))["digests"]["value"]


def test_an_outcome_is_told_from_the_reply_headers() -> None:
    said = told(record_of_example(EXAMPLES[EventType.SETTLED]))["headers"]

    assert said["ai-outcome"] == "answered"
    assert said["ai-cost-usd"] == "0.000179025"
    assert said["ai-prices"] == "in 1.925, out 15.4, cached 0.1925 (catalogue)"
    assert headers.CORRELATION_ID not in said


def test_a_submission_gets_the_id_that_policy_derives() -> None:
    topic = topics.requests("demo")
    structured = {headers.CONTENT_TYPE: "application/cloudevents+json; charset=utf-8", headers.CE_ID: "other"}

    def id_of(value: bytes, said: dict[str, str | bytes | None]) -> UUID | None:
        return entry_of(record_of(topic, value, said), 0).request_id

    assert id_of(b"{}", {headers.CE_ID: "k"}) == ids.request_id("demo", "k")
    assert id_of(b'{"id":"k"}', dict(structured)) == ids.request_id("demo", "k")
    assert id_of(b"{}", {}) == ids.request_id("demo", f"{topic}/3/42")
    assert id_of(b"no json", dict(structured)) == ids.request_id("demo", f"{topic}/3/42")


def test_the_key_of_an_application_is_a_digest_only() -> None:
    entry = told(record_of(topics.requests("demo"), b"{}", key=b"jane@example.com"))

    assert entry["key"] == digest(b"jane@example.com")


def test_a_dead_letter_is_read_like_its_origin() -> None:
    example = EXAMPLES[EventType.DISPATCHED]
    origin: dict[str, str | bytes | None] = {
        headers.DLT_TOPIC: topics.requests("demo"),
        headers.DLT_PARTITION: (1).to_bytes(4, "big"),
        headers.DLT_OFFSET: (9).to_bytes(8, "big"),
        headers.DLQ_REASON: "not JSON",
    }
    internal = record_of(topics.dead_letters(example.topic), example.value, {**example.headers, "dlq-reason": "poison"})
    submitted = record_of(topics.dead_letters(topics.requests("demo")), b"\xff", origin)

    assert entry_of(internal, 0).request_id == UUID(example.headers["ce_subject"])
    assert told(internal)["headers"]["dlq-reason"] == "poison"
    assert entry_of(submitted, 0).request_id == ids.request_id("demo", f"{topics.requests('demo')}/1/9")


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"\xff\xfe",
        b"{",
        b"null",
        b"[]",
        b'{"slip":1}',
        b'{"slip":{}}',
        b'{"slip":"\\ud800"}',
        b'{"slip":' + b"[" * 5000,
    ],
)
def test_a_record_that_nobody_can_read_has_an_entry(value: bytes | None) -> None:
    """Its digests are there, and what its headers say of the request."""
    subject = "04b1d0d7-e883-55dd-aab4-c8f67a66fec9"
    record = record_of(topics.RESULTS, value, {headers.CE_SUBJECT: subject, headers.CE_TYPE: b"\xff"})
    entry = told(record)

    assert entry["malformed"]
    assert decode(encode(entry_of(record, 0))).fingerprint() == fingerprint_of(record)
    assert entry["request_id"] == subject
    assert entry["digests"].get("value") == (digest(value) if value is not None else None)


def test_an_event_without_a_slip_is_told_by_its_headers() -> None:
    """A cancellation at the door, or the end of a dead letter, knows nothing but the request's id."""
    example = EXAMPLES[EventType.CANCELLED]
    value = json.dumps({"slip": None, "data": json.loads(example.value)["data"]}).encode()

    entry = told(record_of(example.topic, value, dict(example.headers)))

    assert entry["request_id"] == example.headers["ce_subject"]
    assert entry["data"]["outcome"] == "cancelled"
    assert "malformed" not in entry


def test_data_of_an_unknown_event_is_not_copied() -> None:
    record = record_of_example(EXAMPLES[EventType.DISPATCHED])
    unknown = tuple((name, b"ai.request.pondered" if name == headers.CE_TYPE else v) for name, v in record.headers)

    entry = told(Record(record.topic, 3, 42, 0, None, record.value, unknown))

    assert "data" not in entry
    assert entry["request_id"]


def test_long_texts_are_cut_and_long_names_are_digests() -> None:
    entry = told(changed(EXAMPLES[EventType.ATTEMPTED], "data", message="m" * 2000))
    named = told(record_of(topics.requests("demo"), b"{}", {headers.CE_ID: "i" * 300}))

    assert entry["data"]["message"] == "m" * 500 + "... (2000 characters)"
    assert named["ce_id"] == f"sha256:{digest(b'i' * 300)}"


def test_numbers_outside_the_value_space_are_kept_as_text() -> None:
    record = changed(EXAMPLES[EventType.ATTEMPTED], "data", seed=2**63, score=0.1, small=-(2**53), fits=2**53 - 1)

    data = told(record)["data"]
    assert (data["seed"], data["score"], data["small"], data["fits"]) == (str(2**63), "0.1", str(-(2**53)), 2**53 - 1)


@pytest.mark.parametrize(
    ("considered", "more", "lost"),
    [(80, 0, []), (150, 0, ["decision"]), (150, 200, ["decision", "data"])],
)
def test_an_entry_that_grows_too_large_gives_up_parts_for_their_digests(
    considered: int, more: int, lost: list[str]
) -> None:
    """First the routing decision, then all data; never its digests or its place."""
    example = EXAMPLES[EventType.DISPATCHED]
    decision = {
        **json.loads(example.value)["data"]["decision"],
        "considered": [{"deployment": f"vendor/model/region-{n}", "excluded": "tried"} for n in range(considered)],
    }
    extra = {f"field_{n}": "x" * 60 for n in range(more)}
    entry = told(changed(example, "data", decision=decision, **extra))

    assert len(rfc8785.dumps(entry)) <= LIMIT
    if not lost:
        assert entry["data"]["decision"] == decision
    elif lost == ["decision"]:
        assert entry["data"]["decision"] == {"sha256": digest(rfc8785.dumps(decision))}
    else:
        assert set(entry["data"]) == {"sha256"}
    assert entry["digests"]["value"]


def test_a_gap_names_the_first_and_the_next_offset() -> None:
    content = encode(gap_before(record_of(topics.RESULTS, b"{}"), 30, 5))
    fields = json.loads(content)

    assert (fields["type"], fields["offset"], fields["until"], fields["index"]) == (GAP, 30, 42, 5)
    assert rfc8785.dumps(fields) == content


@pytest.mark.parametrize(
    ("topic", "audited"),
    [
        (topics.requests("demo"), True),
        (topics.replies("demo"), True),
        ("ai.public.replies.demo.care.v1", True),
        (topics.CLEARED, True),
        (topics.dispatch("openai"), True),
        (topics.RESULTS, True),
        (topics.REVIEWS, True),
        (topics.PARKED, True),
        (topics.DOOR, True),
        (topics.CONFIG, True),
        (topics.dead_letters(topics.RESULTS), True),
        (topics.dead_letters(topics.requests("demo")), True),
        (topics.DELTAS, False),
        (topics.deltas("demo"), False),
        (topics.AUDIT_ENTRIES, False),
        (topics.AUDIT_CHECKPOINTS, False),
        ("__consumer_offsets", False),
    ],
)
def test_every_pipeline_topic_is_audited_and_no_other(topic: str, audited: bool) -> None:
    assert bool(re.match(PIPELINE, topic)) == audited


@given(values)
def test_the_fast_encoder_is_canonical_on_our_value_space(value: Any) -> None:
    """Without floats, large integers and keys that are not ASCII, msgspec's sorted form is RFC 8785."""

    def within(item: Any) -> Any:
        if isinstance(item, dict):
            return {str(key).encode("ascii", "replace").decode(): within(inner) for key, inner in item.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        if isinstance(item, list):
            return [within(inner) for inner in item]  # pyright: ignore[reportUnknownVariableType]
        if isinstance(item, float) or (isinstance(item, int) and abs(item) >= 2**53):
            return str(item)
        return item

    assert canonical(within(value)) == rfc8785.dumps(within(value))


@given(
    st.sampled_from([topics.RESULTS, topics.requests("demo"), topics.replies("demo"), topics.DOOR, topics.CONFIG]),
    st.none() | st.binary(max_size=50) | values.map(lambda value: json.dumps(value).encode()),
    st.lists(st.tuples(known_headers | texts, header_values), max_size=8),
    st.none() | st.binary(max_size=300),
)
def test_any_record_at_all_has_a_canonical_entry(
    topic: str, value: bytes | None, raw: list[tuple[str, bytes | None]], key: bytes | None
) -> None:
    record = Record(topic, 0, 0, 0, key, value, tuple(raw))
    content = encode(entry_of(record, 0))

    assert len(content) <= LIMIT
    assert rfc8785.dumps(json.loads(content)) == content
    assert decode(content).fingerprint() == fingerprint_of(record)


@given(st.sampled_from(sorted(EXAMPLES)), values, texts, st.sampled_from(["data", "slip"]))
def test_any_field_in_an_internal_record_keeps_its_entry_canonical(
    event: EventType, value: Any, name: str, part: str
) -> None:
    if EXAMPLES[event].topic.startswith("ai.internal."):
        content = encode(entry_of(changed(EXAMPLES[event], part, **{name: value}), 0))

        assert len(content) <= LIMIT
        assert rfc8785.dumps(json.loads(content)) == content


@given(
    st.dictionaries(
        st.text(st.characters(codec="ascii"), max_size=20),
        values | st.sampled_from(["x" * 501, [{"n": 2**53}], -(2**53), 10**30]),
    )
)
def test_data_that_needs_no_taming_is_told_as_if_it_was_tamed(data: dict[str, Any]) -> None:
    raw = json.dumps(data)
    try:
        expected = tame(json.loads(raw, parse_float=str))
    except ValueError:
        with pytest.raises(ValueError, match="ASCII"):
            tamed(msgspec.Raw(raw.encode()))
    else:
        assert tamed(msgspec.Raw(raw.encode())) == expected
