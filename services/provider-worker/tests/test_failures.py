"""What a status means by itself, and what may be told of a failure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allweather.contracts.failures import FailureKind
from allweather.provider_worker.failures import MAX_MESSAGE, by_status, safe
from allweather.provider_worker.wire import Failure

KEY = "sk-ant-api03-CANARY-7f3a9c-do-not-repeat-me"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, FailureKind.UNAVAILABLE),
        (302, FailureKind.MISCONFIGURED),
        (400, FailureKind.INVALID),
        (418, FailureKind.INVALID),
        (429, FailureKind.RATE_LIMITED),
        (500, FailureKind.UNAVAILABLE),
        (529, FailureKind.UNAVAILABLE),
        (599, FailureKind.UNAVAILABLE),
    ],
)
def test_status(status: int, kind: FailureKind) -> None:
    assert by_status(status) is kind


@pytest.mark.parametrize(
    "said", [f"Incorrect API key provided: {KEY}.", f"key={KEY[:20]}...", f'{{"key":"{KEY}"}}', f"Bearer {KEY[8:]}"]
)
def test_secret_is_blotted_out_whole_or_in_part(said: str) -> None:
    told = safe(Failure(FailureKind.INVALID, said, KEY), [KEY])

    assert "[redacted]" in told.message
    assert told.vendor_code == "[redacted]"
    assert not any(KEY[i : i + 8] in f"{told.message}{told.vendor_code}" for i in range(len(KEY) - 7))


def test_message_without_a_secret_is_told_as_it_is() -> None:
    said = "This model's maximum context length is 131072 tokens."

    assert safe(Failure(FailureKind.TOO_LONG, said), [KEY]).message == said


@given(before=st.text(max_size=40), start=st.integers(0, 20), size=st.integers(12, 40), after=st.text(max_size=600))
def test_no_long_piece_of_a_secret_ever_passes(before: str, start: int, size: int, after: str) -> None:
    piece = KEY[start : start + size]

    told = safe(Failure(FailureKind.INVALID, before + piece + after), [KEY])

    assert piece not in told.message
    assert len(told.message) <= MAX_MESSAGE
