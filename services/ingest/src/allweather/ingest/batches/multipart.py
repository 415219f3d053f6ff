"""`multipart/form-data` while it comes in: the parts of a form, the content of each in pieces. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

HEAD_LIMIT: Final = 8 << 10

_BOUNDARY = re.compile(rb'^multipart/form-data\s*;.*?boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_NAME = re.compile(rb'[;\s]name="([^"]*)"', re.IGNORECASE)
_FILE = re.compile(rb'[;\s]filename="([^"]*)"', re.IGNORECASE)


class NoForm(Exception):
    """What comes in is not a form."""


@dataclass(frozen=True, slots=True)
class Field:
    """The beginning of a part."""

    name: str
    filename: str | None


class Multipart:
    """Reads one form. After `Field` come the pieces of its content, up to the next `Field`."""

    def __init__(self, content_type: bytes) -> None:
        found = _BOUNDARY.match(content_type)
        if found is None:
            raise NoForm("Expected multipart/form-data with a boundary.")
        self._delimiter = b"\r\n--" + (found[1] or found[2])
        self._buffer = bytearray(b"\r\n")
        self._in_head = False
        self._in_field = False
        self.ended = False

    def feed(self, piece: bytes) -> Iterator[Field | bytes]:
        """What the next piece of the body adds. Raises `NoForm`."""
        self._buffer += piece
        while not self.ended:
            found = self._head() if self._in_head else self._content()
            if found is None:
                return
            if found:
                yield found

    def _content(self) -> bytes | None:
        """The content up to the next delimiter, or what can be none; None when more has to come first."""
        at = self._buffer.find(self._delimiter)
        if at < 0:
            certain = len(self._buffer) - len(self._delimiter)
            return self._taken(certain) if certain > 0 else None
        after = at + len(self._delimiter)
        if len(self._buffer) < after + 2:
            return self._taken(at) if at else None
        self.ended = self._buffer.startswith(b"--", after)
        content = self._taken(at)
        del self._buffer[: len(self._delimiter)]
        self._in_head = True
        return content

    def _taken(self, size: int) -> bytes:
        content = bytes(self._buffer[:size])
        del self._buffer[:size]
        return content if self._in_field else b""

    def _head(self) -> Field | None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > HEAD_LIMIT:
                raise NoForm("The head of a part is too long.")
            return None
        head = bytes(self._buffer[:end])
        del self._buffer[: end + 4]
        name, file = _NAME.search(head), _FILE.search(head)
        if name is None:
            raise NoForm("A part has no name.")
        self._in_head, self._in_field = False, True
        return Field(name[1].decode(errors="replace"), file[1].decode(errors="replace") if file else None)
