"""Stream events put together again: the last one holds the whole response."""

import msgspec

from allweather.dialects.lenient import Json, child, parse_object


class Joining:
    """Waits for the event that ends a response."""

    def __init__(self) -> None:
        self._response: Json = {}

    def add(self, payload: str) -> None:
        """Take in the next event."""
        event = parse_object(payload) or {}
        self._response = child(event, "response") or self._response

    def whole(self) -> bytes:
        """The `response` that the events are."""
        return msgspec.json.encode(self._response)
