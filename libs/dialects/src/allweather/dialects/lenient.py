"""Reading JSON that somebody else wrote. Total: a value of the wrong shape reads like a missing one.

So a vendor that answers nonsense gives an answer without a finish reason, which is a failure, and never an exception.
"""

import math
from typing import Any, Final, TypeVar

import msgspec

T = TypeVar("T")
Json = dict[str, Any]
"""A JSON object as it was read."""

_NUMBER: Final = (int, float)


def parse(data: str | bytes) -> Any:
    """The JSON value, None when it is not JSON."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def parse_object(data: str | bytes) -> Json | None:
    """The JSON object, None when it is not one."""
    value: Json | None = parse(data)
    return value if isinstance(value, dict) else None


def child(parent: Json, name: str) -> Json:
    """The object of that name, empty when there is none."""
    value: Json | None = parent.get(name)
    return value if isinstance(value, dict) else {}


def children(parent: Json, name: str) -> list[Json]:
    """The objects in the list of that name; whatever else is in it is passed over."""
    value: list[Json | None] | None = parent.get(name)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text(parent: Json, name: str) -> str:
    """The text of that name, empty when there is none."""
    value = parent.get(name)
    return value if isinstance(value, str) else ""


def count(parent: Json, name: str) -> int:
    """The number of that name, 0 when there is none."""
    value = parent.get(name)
    return int(value) if isinstance(value, _NUMBER) and math.isfinite(value) else 0


def label(parent: Json, name: str) -> str | None:
    """A code that some write as a text and others as a number; None when it is neither."""
    value = parent.get(name)
    return str(value) if value and isinstance(value, str | int) else None
