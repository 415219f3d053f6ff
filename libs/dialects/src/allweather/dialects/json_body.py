"""Reading a JSON body that a stranger wrote: every fault becomes a sentence with a place."""

import re
from itertools import accumulate
from typing import Final, TypeVar

import msgspec

from allweather.contracts.json_text import syntax_fault
from allweather.dialects.invalid import Invalid, quoted

MAX_DEPTH: Final = 128
"""Nesting that every later service, and every vendor, reads without trouble."""

T = TypeVar("T")

_EXPECTED = re.compile(r"Expected `(.+?)`, got `(.+?)`(?: - at `\$(.*)`)?$", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.+?)`(?: - at `\$(.*)`)?$")
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_WORDS = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "a boolean",
    "array": "an array",
    "object": "an object",
    "null": "null",
}


def decode(decoder: "msgspec.json.Decoder[T]", body: bytes) -> T:
    """The body as the decoder's type. Raises `Invalid`, naming the line and column or the field."""
    if not body:
        raise Invalid("empty_body", "The request has no body: expected a JSON object.")
    try:
        body.decode()
        value = decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _wrong_shape(str(error)) from None
    except RecursionError:
        raise _too_deep() from None
    except (UnicodeDecodeError, msgspec.DecodeError) as error:
        raise Invalid("invalid_json", syntax_fault(error, body)) from None
    if depth(body) > MAX_DEPTH:
        raise _too_deep()
    return value


def depth(body: bytes) -> int:
    """How deep arrays and objects are nested, or an upper bound of it that is within the limit."""
    brackets = body.count(b"[") + body.count(b"{")
    if brackets <= MAX_DEPTH:
        return brackets
    structure = _STRINGS.sub(b"", body).translate(None, _NOT_BRACKETS)
    return max(accumulate(map(_STEP.__getitem__, structure)), default=0)


def _wrong_shape(message: str) -> Invalid:
    missing = _MISSING.match(message)
    if missing:
        param = _param(missing[2], missing[1])
        return Invalid("missing_required_parameter", f"Missing required parameter: '{param}'.", param)
    expected = _EXPECTED.match(message)
    if expected is None:
        return Invalid("invalid_value", f"The body is not as expected: {message}.")
    wanted, got, path = expected.groups()
    param = _param(path) or None
    subject = f"Invalid type for {quoted(param)}" if param else "Invalid body"
    reason = f"{subject}: expected {_words(wanted)}, but got {_words(got)} instead."
    return Invalid("invalid_type", reason, param)


def _too_deep() -> Invalid:
    return Invalid("invalid_json", f"The body is nested deeper than {MAX_DEPTH} levels.")


def _param(path: str | None, field: str = "") -> str:
    """`messages[0].content` of the decoder's `.messages[0].content`."""
    return ".".join(part for part in ((path or "").lstrip("."), field) if part)


def _words(types: str) -> str:
    names = [_WORDS.get(name, name) for name in types.split(" | ") if name != "null" or types == "null"]
    return " or ".join(names)
