"""Envelopes pass on what nobody reads; what cannot be read is named."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from allweather.contracts import errors
from allweather.contracts.examples import all_examples
from allweather.contracts.failures import FailureKind, OutcomeKind
from allweather.contracts.records import Dispatch, EventType, MalformedRecord, decode, encode
from allweather.contracts.slip import Dialect, Slip

DISPATCHED = next(e for e in all_examples() if e.event is EventType.DISPATCHED)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(json_values, json_values)
def test_body_and_response_pass_through_unchanged(body: object, response: object) -> None:
    slip = decode(DISPATCHED.value).read_slip()
    sent = msgspec.Raw(msgspec.json.encode(body)), msgspec.Raw(msgspec.json.encode(response))

    read = decode(encode(slip, msgspec.Raw(b"null"), *sent))

    assert (bytes(read.body), bytes(read.response)) == (bytes(sent[0]), bytes(sent[1]))
    assert read.read_slip() == slip


def test_a_newer_records_unknown_fields_are_ignored() -> None:
    plain = msgspec.json.decode(DISPATCHED.value)
    plain["slip"]["from_the_future"] = plain["data"]["from_the_future"] = plain["from_the_future"] = 1

    read = decode(msgspec.json.encode(plain))

    assert read.read_slip() == decode(DISPATCHED.value).read_slip()
    assert read.read(Dispatch) == decode(DISPATCHED.value).read(Dispatch)


@pytest.mark.parametrize("value", [None, b"", b"{", b"[]", b'{"data":{}}', b"\xff"])
def test_what_is_no_envelope_is_malformed(value: bytes | None) -> None:
    with pytest.raises(MalformedRecord, match="envelope"):
        decode(value)


def test_a_malformed_slip_is_named_by_its_field() -> None:
    plain = msgspec.json.decode(DISPATCHED.value)
    plain["slip"]["deadline_ms"] = "tomorrow"

    with pytest.raises(MalformedRecord, match=r"slip: Expected `int`, got `str` - at `\$.deadline_ms`"):
        decode(msgspec.json.encode(plain)).read_slip()


def test_what_has_its_default_is_not_written() -> None:
    slip = decode(DISPATCHED.value).read_slip()
    plain = msgspec.json.decode(structs.replace(slip, episode=1, parks=0, attempts=()).to_json())

    assert not plain.keys() & {"episode", "parks", "attempts", "api"}
    assert Slip.from_json(msgspec.json.encode(plain)) == structs.replace(slip, episode=1, parks=0, attempts=())


def test_a_value_that_is_nested_too_deeply_is_malformed() -> None:
    with pytest.raises(ValueError, match="recursion"):
        Slip.from_json(b'{"from_the_future":' + b"[" * 100_000)


def test_every_outcome_but_an_answer_can_be_rendered() -> None:
    answers = {OutcomeKind.ANSWERED, OutcomeKind.REFUSED}
    for outcome in set(OutcomeKind) - answers:
        body = msgspec.json.decode(errors.render(errors.for_outcome(outcome, "Why.")))
        assert body["error"]["code"] == outcome.value


def test_an_unknown_model_is_a_404_as_vendors_do() -> None:
    assert errors.for_outcome(OutcomeKind.INVALID, "Unknown.", code="model_not_found").status == 404


def test_only_calls_that_may_have_reached_a_vendor_are_attempts() -> None:
    not_attempts = {FailureKind.UNSUPPORTED, FailureKind.NOT_CALLED, FailureKind.WORKER_LOST}

    assert {k for k in FailureKind if not k.is_attempt} == not_attempts


@pytest.mark.parametrize("dialect", Dialect)
def test_every_dialect_has_errors_with_type_message_and_code(dialect: Dialect) -> None:
    """A caller's SDK finds them where its vendor puts them."""
    body = msgspec.json.decode(errors.render(errors.for_outcome(OutcomeKind.EXPIRED, "Why."), dialect))

    assert body["error"]["message"] == "Why."
    assert body["error"]["type"] in ("server_error", "timeout_error")
    assert "expired" in (body["error"].get("code"), body["error"].get("details", {}).get("error_code"))
