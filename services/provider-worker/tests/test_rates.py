"""What vendors write into headers about limits, sensible or not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allweather.provider_worker.openai_wire import RATE_HEADERS
from allweather.provider_worker.rates import (
    MAX_RETRY_AFTER_MS,
    Allowance,
    Allowances,
    allowances,
    duration_ms,
    retry_after_ms,
)

NOW_MS = 1_795_000_000_000  # Wed, 18 Nov 2026 11:06:40 GMT


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "12"}, 12_000),
        ({"retry-after": "0.25"}, 250),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "NaN"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "1_000"}, None),
        ({"retry-after": "inf"}, MAX_RETRY_AFTER_MS),
        ({"retry-after": "1e300"}, MAX_RETRY_AFTER_MS),
        ({"retry-after": "Wed, 18 Nov 2026 11:07:10 GMT"}, 30_000),
        ({"retry-after": "Wed, 18 Nov 2026 11:00:00 GMT"}, None),
        ({"retry-after": "Wed, 18 Nov 9999 11:00:00 GMT"}, MAX_RETRY_AFTER_MS),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1_500),
        ({"retry-after-ms": "0", "retry-after": "1"}, 1_000),
        ({"retry-after-ms": "-3", "retry-after": "1"}, 1_000),
        ({"retry-after-ms": "nan"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], expected: int | None) -> None:
    assert retry_after_ms(headers, NOW_MS) == expected


@given(text=st.text(), milliseconds=st.text())
def test_retry_after_is_sane_whatever_the_vendor_writes(text: str, milliseconds: str) -> None:
    found = retry_after_ms({"retry-after": text, "retry-after-ms": milliseconds}, NOW_MS)

    assert found is None or 0 <= found <= MAX_RETRY_AFTER_MS


@pytest.mark.parametrize(
    ("text", "expected"),
    [("48s", 48_000), ("6m0s", 360_000), ("12ms", 12), ("1h2m3.5s", 3_723_500), ("", None), ("s", None), ("5", None)],
)
def test_duration(text: str, expected: int | None) -> None:
    assert duration_ms(text) == expected


@pytest.mark.parametrize(
    ("limit", "remaining", "expected"),
    [
        ("60", "59", Allowance(60, 59)),
        ("60", "0", Allowance(60, 0)),
        ("60", "100", Allowance(60, 60)),
        ("-1", "0", None),
        ("0", "0", None),
        ("60", "-1", None),
        ("nan", "1", None),
        ("60", "nan", None),
        ("inf", "1", None),
        ("many", "some", None),
        (None, "1", None),
    ],
)
def test_allowance(limit: str | None, remaining: str, expected: Allowance | None) -> None:
    headers = {"x-ratelimit-remaining-tokens": remaining}
    if limit is not None:
        headers["x-ratelimit-limit-tokens"] = limit

    assert allowances(headers, RATE_HEADERS) == Allowances(tokens=expected)
