"""What an application asks for in the headers of its request record."""

import re
from enum import StrEnum
from typing import Final, TypeVar

import msgspec

from allweather.contracts import headers
from allweather.contracts.deadlines import EXPECTED, PARK_LIMIT_MS, deadline_ms
from allweather.contracts.slip import ApiHeaders, Dialect, Priority
from allweather.dialects.invalid import Invalid, quoted
from allweather.policy.given import Given
from allweather.policy.invalid import Faults

MAX_REGIONS: Final = 16

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_SENT_ON = re.compile(r"[A-Za-z0-9._, -]{1,512}")
E = TypeVar("E", bound=StrEnum)


class Hints(msgspec.Struct, frozen=True):
    """The hints of one record, with the defaults of the Kafka door where it gives none."""

    dialect: Dialect
    priority: Priority
    deadline_ms: int
    regions: tuple[str, ...]
    data_class: str | None
    api: ApiHeaders | None


def read(given: Given, accepted_at_ms: int, faults: Faults) -> Hints:
    """The hints; one that cannot be understood is a fault, never ignored."""
    latest = accepted_at_ms + PARK_LIMIT_MS
    return Hints(
        dialect=faults.guard(lambda: _dialect(given), Dialect.OPENAI_CHAT),
        priority=faults.guard(lambda: _one_of(given, headers.PRIORITY, Priority.BULK), Priority.BULK),
        deadline_ms=faults.guard(lambda: _deadline(given, accepted_at_ms, latest), latest),
        regions=faults.guard(lambda: _regions(given), ()),
        data_class=faults.guard(lambda: _data_class(given), None),
        api=faults.guard(lambda: _api(given), None),
    )


def _dialect(given: Given) -> Dialect:
    return _one_of(given, headers.DIALECT, Dialect.OPENAI_CHAT, code="unknown_dialect")


def _one_of(given: Given, name: str, default: E, code: str = "invalid_header") -> E:
    text = _text(given, name)
    if not text:
        return default
    try:
        return type(default)(text)
    except ValueError:
        known = ", ".join(type(default))
        raise Invalid(code, f"{name} is {quoted(text)}; known: {known}.", name) from None


def _deadline(given: Given, accepted_at_ms: int, default: int) -> int:
    text = _text(given, headers.DEADLINE)
    if not text:
        return default
    try:
        deadline = deadline_ms(text, accepted_at_ms)
    except (ValueError, OverflowError):
        reason = f"{headers.DEADLINE} is {quoted(text)}; expected {EXPECTED}."
        raise Invalid("invalid_header", reason, headers.DEADLINE) from None
    if deadline <= accepted_at_ms:
        reason = f"The deadline {quoted(text)} had passed when the request was accepted."
        raise Invalid("deadline_in_past", reason, headers.DEADLINE)
    return deadline


def _regions(given: Given) -> tuple[str, ...]:
    text = _text(given, headers.REGION)
    names = tuple(dict.fromkeys(name.strip().lower() for name in text.split(","))) if text else ()
    if len(names) > MAX_REGIONS or not all(_NAME.fullmatch(name) for name in names):
        expected = f"at most {MAX_REGIONS} places such as 'eu', separated by commas"
        raise Invalid("invalid_header", f"{headers.REGION} is {quoted(text)}; expected {expected}.", headers.REGION)
    return names


def _data_class(given: Given) -> str | None:
    text = _text(given, headers.DATA_CLASS)
    if text and not _NAME.fullmatch(text):
        expected = "up to 63 lower-case letters, digits, dots, dashes and underscores"
        reason = f"{headers.DATA_CLASS} is {quoted(text)}; expected {expected}."
        raise Invalid("invalid_header", reason, headers.DATA_CLASS)
    return text or None


def _api(given: Given) -> ApiHeaders | None:
    """They are sent on as they are, so they hold nothing but names."""
    said = {name: text for name in (headers.API_VERSION, headers.API_BETAS) if (text := _text(given, name))}
    for name, text in said.items():
        if not _SENT_ON.fullmatch(text):
            expected = "up to 512 letters, digits, dots, dashes and underscores, and commas between names"
            raise Invalid("invalid_header", f"{name} is {quoted(text)}; expected {expected}.", name)
    return ApiHeaders(version=said.get(headers.API_VERSION), betas=said.get(headers.API_BETAS)) if said else None


def _text(given: Given, name: str) -> str:
    value = given.raw(name)
    try:
        return value.decode().strip() if value else ""
    except UnicodeDecodeError:
        raise Invalid("invalid_header", f"The header {name} is not UTF-8 text.", name) from None
