"""Everybody who derives a request id from a record derives the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allweather.contracts.headers import CE_ID, CONTENT_TYPE, IDEMPOTENCY_KEY
from allweather.contracts.submission import submission_key

PLACE = ("ai.public.requests.demo.v1", 2, 17)
AT_PLACE = "ai.public.requests.demo.v1/2/17"
STRUCTURED = {CONTENT_TYPE: b"Application/CloudEvents+json; charset=UTF-8"}


@pytest.mark.parametrize(
    ("headers", "value", "key"),
    [
        ({}, b"{}", AT_PLACE),
        ({CE_ID: b"a"}, b"{}", "a"),
        ({CE_ID: b"a", IDEMPOTENCY_KEY: b"k"}, b"{}", "k"),
        ({CE_ID: b"\xff"}, b"{}", AT_PLACE),
        ({CE_ID: None}, b"{}", AT_PLACE),
        (STRUCTURED | {CE_ID: b"a"}, b'{"id": "inside"}', "inside"),
        (STRUCTURED | {CE_ID: b"a"}, b'{"id": ', AT_PLACE),
        (STRUCTURED, b'{"id": 7}', AT_PLACE),
        (STRUCTURED, None, AT_PLACE),
    ],
)
def test_the_key_is_the_idempotency_key_else_the_events_id_else_the_place(
    headers: dict[str, bytes | None], value: bytes | None, key: str
) -> None:
    assert submission_key(headers, value, PLACE) == key


@given(st.dictionaries(st.sampled_from([CE_ID, CONTENT_TYPE, IDEMPOTENCY_KEY]), st.binary() | st.none()), st.binary())
def test_whatever_a_record_holds_it_has_a_key(headers: dict[str, bytes | None], value: bytes) -> None:
    assert submission_key(headers, value, PLACE)
