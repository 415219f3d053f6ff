"""What response headers say of limits: how much is left, and when to try again.

The reset times are not read: vendors write them in three units (RFC 3339, Go durations, milliseconds), and a bucket
that refills at the limit per minute is corrected by each response's `remaining` anyway.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MAX_RETRY_AFTER_MS = 86_400_000
"""A day. What lies further off is an outage of its own, and a typing error more likely than not."""


@dataclass(frozen=True, slots=True)
class RateHeaders:
    """Names of a vendor's rate headers; `{what}` stands for `limit` and `remaining`."""

    requests: str
    tokens: str


@dataclass(frozen=True, slots=True)
class Allowance:
    """One limit per minute as the vendor sees it."""

    limit: float
    remaining: float


@dataclass(frozen=True, slots=True)
class Allowances:
    requests: Allowance | None = None
    tokens: Allowance | None = None


def allowances(headers: Mapping[str, str], names: RateHeaders) -> Allowances:
    """What the headers say is left; nothing where they are missing or make no sense (-1, 0 of 0, text)."""
    return Allowances(_allowance(headers, names.requests), _allowance(headers, names.tokens))


def _allowance(headers: Mapping[str, str], pattern: str) -> Allowance | None:
    limit = _number(headers.get(pattern.format(what="limit")))
    remaining = _number(headers.get(pattern.format(what="remaining")))
    if limit is None or remaining is None or not 0 < limit < math.inf or not remaining >= 0:
        return None
    return Allowance(limit, min(limit, remaining))


def retry_after_ms(headers: Mapping[str, str], now_ms: int) -> int | None:
    """How long the vendor asks to be left alone, from `retry-after-ms` or `retry-after` (seconds or a date).

    None when it does not say, or says something that no clock can mean; never more than a day.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None and milliseconds > 0:
        return _sane(milliseconds)
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is not None:
        return _sane(seconds * 1000)
    return None if text is None else _until(text, now_ms)


def duration_ms(text: str) -> int | None:
    """A duration as Google and Go write it (`48s`, `6m0s`, `12ms`), None when it is not one."""
    if not _DURATION.fullmatch(text):
        return None
    return _sane(sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text)))


_UNITS = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|h|m|s)")
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|h|m|s))+")


def _until(date: str, now_ms: int) -> int | None:
    try:
        when = parsedate_to_datetime(date)
    except ValueError:
        return None
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return _sane((aware - datetime.fromtimestamp(now_ms / 1000, UTC)).total_seconds() * 1000)


def _sane(milliseconds: float) -> int | None:
    return int(min(milliseconds, MAX_RETRY_AFTER_MS)) if milliseconds >= 0 else None


def _number(text: str | None) -> float | None:
    """A number, finite or infinite, but not NaN; `1_000` is one to Python only."""
    if text is None or "_" in text:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return None if math.isnan(number) else number
