"""Chat Completions: chunks without names, and `[DONE]`."""

from collections.abc import Sequence
from typing import Final

import msgspec

from allweather.contracts.errors import ApiError
from allweather.contracts.slip import Dialect
from allweather.dialects.registry import DIALECTS
from allweather.ingest import sse

DONE: Final = b"data: [DONE]\n\n"

_FINISHED: Final = '"finish_reason":"'
_USAGE: Final = '"usage":{'


class ChatForm:
    """The stream of one chat completion."""

    keep_alive = sse.COMMENT

    def __init__(self, *, include_usage: bool, choices: int = 1) -> None:
        self._include_usage = include_usage
        self._usage_seen = not include_usage
        self._unfinished = choices
        self.finished = False

    @property
    def whole(self) -> bool:
        return self.finished and self._usage_seen

    def show(self, payloads: Sequence[str]) -> bytes:
        """Marks the ends of an answer. Content cannot look like them: within a string the quotes are escaped."""
        for payload in payloads:
            self._unfinished -= payload.count(_FINISHED)
            self._usage_seen = self._usage_seen or _USAGE in payload
        self.finished = self._unfinished <= 0
        return sse.frame(payloads)

    def end(self) -> bytes:
        return DONE

    def entire(self, body: bytes) -> bytes:
        return sse.frame(DIALECTS[Dialect.OPENAI_CHAT].split(body, self._include_usage)) + DONE

    def error(self, error: ApiError, request_id: str) -> bytes:
        told = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
        payload = msgspec.json.encode({"error": told | {"request_id": request_id}})
        return b"data: " + payload + b"\n\n"
