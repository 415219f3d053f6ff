"""CloudEvents in Kafka records: what comes in goes out unchanged, and what is broken is said to be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allweather.messaging import Headers, Message, Record
from allweather.messaging.cloudevents import Event, NotAnEvent, decode, encode, encode_structured

REQUIRED: Headers = (("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_source", b"/app"), ("ce_type", b"t"))

names = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=20).filter(
    lambda name: name not in {"data", "data_base64", "datacontenttype", "specversion"}
)


@st.composite
def attributes(draw: st.DrawFn) -> dict[str, str]:
    required = {name: draw(st.text(min_size=1)) for name in ("id", "source", "type")}
    return {**draw(st.dictionaries(names, st.text())), **required, "specversion": "1.0"}


events = st.builds(
    Event,
    attributes=attributes(),
    data=st.none() | st.binary(),
    content_type=st.sampled_from(["text/plain", "application/octet-stream", "image/png"]),
    headers=st.lists(
        st.tuples(st.sampled_from(["traceparent", "kafka_correlationId", "x"]), st.none() | st.binary())
    ).map(tuple),
)


def read(message: Message) -> Record:
    return Record(message.topic, 0, 0, 0, message.key, message.value, message.headers)


def structured(value: bytes, *headers: tuple[str, bytes | None]) -> Record:
    content_type = ("content-type", b"application/cloudevents+json; charset=utf-8")
    return Record("t", 0, 0, 0, None, value, (content_type, *headers))


@given(events)
def test_binary_event_comes_back_as_it_went(event: Event) -> None:
    assert decode(read(encode(event, topic="t", key=None))) == event


@given(events)
def test_structured_event_comes_back_as_it_went(event: Event) -> None:
    assert decode(read(encode_structured(event, topic="t", key=None))) == event


def test_record_without_a_claim_is_no_event() -> None:
    assert decode(Record("t", 0, 0, 0, None, b"{}", (("content-type", b"application/json"),))) is None


def test_content_type_decides_before_the_headers() -> None:
    """A structured event may carry copies of its attributes as headers; they do not make it a binary one."""
    record = structured(b'{"specversion":"1.0","id":"inner","source":"s","type":"t"}', *REQUIRED)

    event = decode(record)

    assert event is not None
    assert event.id == "inner"
    assert event.headers == ()


def test_json_data_keeps_its_very_bytes() -> None:
    """Numbers and spaces that a parser would write in another way survive."""
    record = structured(
        b'{"specversion":"1.0","id":"1","source":"s","type":"t","data":{"a": 1.0e0, "b":10000000000000000001}}'
    )

    event = decode(record)

    assert event is not None
    assert event.data == b'{"a": 1.0e0, "b":10000000000000000001}'
    assert event.content_type == "application/json"


def test_text_data_is_the_text_itself() -> None:
    body = b'{"specversion":"1.0","id":"1","source":"s","type":"t","datacontenttype":"text/plain","data":"h\\u00fc"}'

    event = decode(structured(body))

    assert event is not None
    assert event.data == "hü".encode()


def test_opaque_and_null_headers_survive() -> None:
    others: Headers = (("kafka_correlationId", b"\xff\x00"), ("x", None), ("x", b"again"))

    event = decode(Record("t", 0, 0, 0, None, b"d", (*REQUIRED, *others)))

    assert event is not None
    assert event.headers == others


def test_numbers_and_truths_become_text() -> None:
    event = decode(structured(b'{"specversion":"1.0","id":"1","source":"s","type":"t","n":3,"yes":true,"none":null}'))

    assert event is not None
    assert (event.attributes["n"], event.attributes["yes"]) == ("3", "true")
    assert "none" not in event.attributes


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"\xff",
        b"[]",
        b"{",
        b'{"specversion":"1.0","id":"1","source":"s"}',
        b'{"specversion":"0.3","id":"1","source":"s","type":"t"}',
        b'{"specversion":"1.0","id":"","source":"s","type":"t"}',
        b'{"specversion":"1.0","id":{},"source":"s","type":"t"}',
        b'{"specversion":"1.0","id":"1","source":"s","type":"t","Ext":"x"}',
        b'{"specversion":"1.0","id":"1","source":"s","type":"t","data_base64":"?"}',
        b'{"specversion":"1.0","id":"1","source":"s","type":"t","data":1,"data_base64":"eA=="}',
        b"[" * 100_000,
    ],
)
def test_broken_structured_event_is_malformed_input(value: bytes | None) -> None:
    record = Record("t", 0, 0, 0, None, value, (("content-type", b"application/cloudevents+json"),))

    with pytest.raises(NotAnEvent):
        decode(record)


@pytest.mark.parametrize(
    "headers",
    [
        REQUIRED[:3],
        (*REQUIRED[1:], ("ce_specversion", b"2.0")),
        (*REQUIRED, ("ce_subject", b"\xff")),
        (("content-type", b"application/cloudevents-batch+json"),),
        (("content-type", b"application/cloudevents+avro"),),
    ],
)
def test_broken_claim_is_malformed_input(headers: Headers) -> None:
    with pytest.raises(NotAnEvent):
        decode(Record("t", 0, 0, 0, None, b"d", headers))
