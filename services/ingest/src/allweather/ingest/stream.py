"""What a streaming caller is sent, decided event by event. Pure.

The first call that has content is pinned: no other call's content is ever mixed in. The end marker goes out only when
the reply names that very call and all of it has been sent; otherwise the caller gets a typed error with the id under
which the full answer stays retrievable. A truncated answer is never presented as complete.
"""

from allweather.contracts.errors import ApiError
from allweather.failpoints import OFF, Failpoints
from allweather.ingest import sse
from allweather.ingest.deltas import Delta
from allweather.ingest.forms.form import Form
from allweather.ingest.replies import Reply


class Stream:
    """One caller's stream, from nothing to its end."""

    def __init__(self, request_id: str, form: Form, failpoints: Failpoints = OFF) -> None:
        self._request_id = request_id
        self._form = form
        self._failpoints = failpoints
        self._call_id: str | None = None
        self._next = 0
        self._gap = False
        self._enough = False
        """Whether an answer that only lacks its counts or terminator is whole."""
        self._reply: Reply | None = None
        self.ended = False

    @property
    def has_content(self) -> bool:
        """Whether content of some call has been released to the caller."""
        return self._call_id is not None

    @property
    def awaits_the_rest(self) -> bool:
        """Whether the reply is here and the last deltas of its call are still to come."""
        return self._reply is not None and not self.ended

    def delta(self, delta: Delta) -> bytes:
        """What a delta adds: nothing, if it is another call's, a repetition, or behind a gap."""
        if delta.has_content and delta.sequence == 0 and not self._pinned:
            self._call_id, self._next = delta.call_id, 0
        if delta.call_id != self._call_id or delta.sequence < self._next or self._gap:
            return b""
        if delta.sequence > self._next:
            self._gap = True
            return self._end_now()
        self._next += 1
        shown = self._form.show(delta.events)
        return shown + (self._end_now() if self._reply and self._whole else b"")

    def reply(self, reply: Reply) -> bytes:
        """What the outcome adds: the end, or nothing while the last deltas are still to come."""
        self._reply = reply
        if not self.has_content:
            return self._without_deltas(reply)
        if self._is_answered_by(reply) and not self._whole and not self._gap:
            return b""
        return self._end_now()

    def give_up(self, error: ApiError) -> bytes:
        """The end for a caller who is not going to get the outcome on this stream."""
        self.ended = True
        return self._form.error(error, self._request_id)

    def rest_is_missing(self) -> bytes:
        """The end when the last deltas have not come in time. A vendor may leave out the usage, which is no harm."""
        self._enough = True
        return self._end_now()

    @property
    def _pinned(self) -> bool:
        return self._call_id is not None and not self._failpoints.skips("ingest.pinned-call")

    @property
    def _whole(self) -> bool:
        return (
            self._form.whole or (self._enough and self._form.finished) or self._failpoints.skips("ingest.whole-answer")
        )

    def _is_answered_by(self, reply: Reply) -> bool:
        """Whether the reply is the answer of the very call whose content was shown."""
        named = reply.call_id == self._call_id or self._failpoints.skips("ingest.named-call")
        return reply.is_answer and named

    def _without_deltas(self, reply: Reply) -> bytes:
        self.ended = True
        if reply.is_answer:
            return self._form.entire(reply.body)
        return self._form.error(sse.error_in(reply), self._request_id)

    def _end_now(self) -> bytes:
        """The end of a stream that has shown content."""
        reply = self._reply
        if reply is None:
            return b""
        self.ended = True
        if self._is_answered_by(reply) and self._whole:
            return self._form.end()
        return self._form.error(_broken(reply, self._call_id, self._request_id), self._request_id)


def _broken(reply: Reply, call_id: str | None, request_id: str) -> ApiError:
    if not reply.is_answer:
        return sse.error_in(reply)
    what = "is incomplete" if reply.call_id == call_id else "was begun by a call that has failed"
    message = f"This stream {what}. The full answer: GET /v1/requests/{request_id}."
    return ApiError(500, "server_error", "stream_interrupted", message)
