"""Server-sent events out of bytes that arrive in pieces, cut anywhere."""

from collections.abc import Iterator

from allweather.provider_worker.wire import ServerSentEvent

MAX_EVENT_BYTES = 4 << 20
"""An event longer than this is an attack or a fault, not an answer."""


class EventTooLong(Exception):
    """The stream sends one endless line or event."""


class EventParser:
    """Turns the bytes of one stream into events. Lines that are not of the event format are kept in `stray`."""

    def __init__(self) -> None:
        self._tail = b""
        self._name = ""
        self._data: list[str] = []
        self._size = 0
        self.stray = bytearray()
        """What came unframed: Vertex sends the error of a broken stream as bare JSON."""

    def feed(self, piece: bytes) -> Iterator[ServerSentEvent]:
        """The events that `piece` completes. Raises `EventTooLong`."""
        lines = (self._tail + piece).split(b"\n")
        self._tail = lines.pop()
        self._grow(len(piece))
        for line in lines:
            event = self._line(line)
            if event is not None:
                yield event

    def end(self) -> Iterator[ServerSentEvent]:
        """The event that was still open when the stream ended; its blank line may be all that is missing."""
        for event in (self._line(self._tail), self._dispatch()):
            if event is not None:
                yield event
        self._tail = b""

    def _line(self, line: bytes) -> ServerSentEvent | None:
        """The event that the line completes."""
        line = line.removesuffix(b"\r")
        if not line:
            return self._dispatch()
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" ").decode(errors="replace"))
        elif line.startswith(b"event:"):
            self._name = line[6:].strip().decode(errors="replace")
        elif not line.startswith((b":", b"id:", b"retry:")):
            self.stray += line
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        event = ServerSentEvent("\n".join(self._data), self._name) if self._data else None
        self._name, self._data, self._size = "", [], 0
        return event

    def _grow(self, size: int) -> None:
        """Count what has come since the last event; pieces hold whole events or parts of them."""
        self._size += size
        if self._size > MAX_EVENT_BYTES:
            raise EventTooLong
