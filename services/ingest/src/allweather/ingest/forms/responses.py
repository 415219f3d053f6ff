"""OpenAI Responses: named and numbered events, of which the last one holds the whole response. There is no `[DONE]`."""

from collections.abc import Callable, Sequence
from typing import Final

from allweather.contracts.errors import ApiError
from allweather.dialects.lenient import Json, child, count, parse_object
from allweather.dialects.openai_responses import splitting
from allweather.ingest import sse

BEGINNINGS: Final = frozenset({"response.created", "response.queued", "response.in_progress"})
ENDS: Final = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})


class ResponsesForm:
    """The stream of one response, which is given its name here."""

    keep_alive = sse.COMMENT

    def __init__(self, named: Callable[[Json], Json]) -> None:
        self._named = named
        self._begun: Json = {}
        self._last = ""
        self._end = ""
        self.finished = False

    @property
    def whole(self) -> bool:
        return self.finished

    def show(self, payloads: Sequence[str]) -> bytes:
        shown: list[str] = []
        for payload in payloads:
            kind = sse.kind(payload)
            if kind in ENDS:
                self.finished, self._end = True, payload
            else:
                shown.append(self._with_name(payload) if kind in BEGINNINGS else payload)
        if shown:
            self._last = shown[-1]
        return sse.named(shown)

    def end(self) -> bytes:
        return sse.named([self._with_name(self._end)])

    def entire(self, body: bytes) -> bytes:
        whole = sse.encoded(self._named(parse_object(body) or {})).encode()
        return sse.named(splitting.payloads(whole))

    def error(self, error: ApiError, request_id: str) -> bytes:  # noqa: ARG002 - the response has the id in its own
        told = {"code": error.code or error.type, "message": error.message}
        failed = self._begun | {"status": "failed", "error": told}
        last = parse_object(self._last)
        first = count(last, "sequence_number") + 1 if last else 0
        events = [("error", told | {"param": error.param}), ("response.failed", {"response": failed})]
        return sse.named(splitting.numbered(events, first))

    def _with_name(self, payload: str) -> str:
        event = parse_object(payload) or {}
        self._begun = self._named(child(event, "response"))
        return sse.encoded(event | {"response": self._begun})
