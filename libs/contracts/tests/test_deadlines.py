"""Deadlines as applications write them."""

import pytest

from allweather.contracts.deadlines import PARK_LIMIT_MS, deadline_ms

NOW = 1_795_000_000_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.5", NOW + 1500),
        ("-1", NOW - 1000),
        ("0", NOW),
        ("2026-11-18T13:07:40.5+01:00", 1_795_003_660_500),
        ("2026-11-18t12:07:40.5z", 1_795_003_660_500),
        ("2001-01-01T00:00:00Z", 978_307_200_000),
        ("1e300", NOW + PARK_LIMIT_MS),
        ("9999-12-31T23:59:59Z", NOW + PARK_LIMIT_MS),
    ],
)
def test_a_deadline_is_a_time_or_a_number_of_seconds(text: str, expected: int):
    assert deadline_ms(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "soon", "nan", "inf", "2026-11-18T12:07:40", "2026-13-45T00:00:00Z", "1,5"])
def test_anything_else_is_an_error(text: str):
    with pytest.raises(ValueError):  # noqa: PT011 - which part of the text is wrong does not matter
        deadline_ms(text, NOW)
