"""What is wrong with a text that should be JSON, in words and with its place: both doors say it the same way."""

import re

import msgspec

_BYTE = re.compile(r"\(byte (\d+)\)")


def syntax_fault(error: Exception, text: bytes) -> str:
    """A sentence on why `text` could not be decoded. `error` is what the decoder raised."""
    if isinstance(error, UnicodeDecodeError):
        return f"The body is not UTF-8 text ({place(text, error.start)})."
    if isinstance(error, RecursionError):
        return "The body is nested too deeply."
    assert isinstance(error, msgspec.DecodeError), "decoding raises nothing else"
    message = str(error)
    found = _BYTE.search(message)
    where = place(text, int(found[1]) if found else len(text))
    what = message.removeprefix("JSON is malformed: ").partition(" (byte")[0].removeprefix("Input data was ")
    return f"The body is not valid JSON: {what} ({where})."


def place(text: bytes, position: int) -> str:
    """`line 3, column 7` of a byte; both count from 1."""
    before = text[:position]
    line = before.count(b"\n") + 1
    column = len(before[before.rfind(b"\n") + 1 :].decode(errors="replace")) + 1
    return f"line {line}, column {column}"
