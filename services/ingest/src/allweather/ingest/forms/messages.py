"""Anthropic Messages: named events, pings, and `message_stop` at the end."""

from collections.abc import Sequence
from typing import Final

from allweather.contracts import errors
from allweather.contracts.errors import ApiError
from allweather.contracts.slip import Dialect
from allweather.dialects.registry import DIALECTS
from allweather.ingest import sse

_FINISH: Final = "message_delta"
_STOP: Final = "message_stop"


class MessagesForm:
    """The stream of one message."""

    keep_alive = b'event: ping\ndata: {"type": "ping"}\n\n'

    def __init__(self) -> None:
        self._held: list[str] = []
        self.finished = False
        self.whole = False

    def show(self, payloads: Sequence[str]) -> bytes:
        return sse.named([payload for payload in payloads if not self._hold(payload)])

    def _hold(self, payload: str) -> bool:
        """Why the answer ended is for the end, when it is certain that this is the answer."""
        kind = sse.kind(payload)
        if kind not in (_FINISH, _STOP):
            return False
        self.finished, self.whole = True, kind == _STOP
        self._held.append(payload)
        return True

    def end(self) -> bytes:
        return sse.named(self._held if self.whole else [*self._held, f'{{"type":"{_STOP}"}}'])

    def entire(self, body: bytes) -> bytes:
        return sse.named(DIALECTS[Dialect.ANTHROPIC_MESSAGES].split(body, True))

    def error(self, error: ApiError, request_id: str) -> bytes:
        return sse.named([errors.render(error, Dialect.ANTHROPIC_MESSAGES, request_id).decode()])
