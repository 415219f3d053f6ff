"""Deadlines as applications write them, read the same way by the door that waits and by policy that decides."""

import math
from datetime import datetime
from typing import Final

PARK_LIMIT_MS: Final = 24 * 3600 * 1000
"""The longest that a request may take; a later deadline is this one."""

EXPECTED: Final = "an RFC 3339 time with its zone, or a number of seconds from acceptance"


def deadline_ms(text: str, accepted_at_ms: int) -> int:
    """The time that `text` names, at the latest the park limit. Raises ValueError when it is not `EXPECTED`."""
    return min(_named(text, accepted_at_ms), accepted_at_ms + PARK_LIMIT_MS)


def _named(text: str, accepted_at_ms: int) -> int:
    seconds = _number(text)
    if seconds is not None:
        return accepted_at_ms + int(seconds * 1000)
    moment = datetime.fromisoformat(text.upper())
    if moment.tzinfo is None:
        raise ValueError("a time without its zone")
    return int(moment.timestamp() * 1000)


def _number(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    if not math.isfinite(seconds):
        raise ValueError("not a number of seconds")
    return seconds
