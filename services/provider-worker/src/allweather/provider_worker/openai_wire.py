"""What OpenAI and the servers compatible with it share: the caller's own words are passed on, errors are classified.

The vendors differ in addresses, credentials, error codes and the chunks that they add; each says so in its own module.
"""

from collections.abc import Mapping, Sequence, Set

import msgspec

from allweather.contracts.answers import Answer, Event
from allweather.contracts.failures import FailureKind
from allweather.dialects.lenient import Json, child, count, label, parse_object, text
from allweather.provider_worker.chunks import ChunkReader
from allweather.provider_worker.failures import by_status
from allweather.provider_worker.forwarding import TRUE, Fields, fields, raw
from allweather.provider_worker.rates import RateHeaders, retry_after_ms
from allweather.provider_worker.reading import complete
from allweather.provider_worker.wire import Failed, Failure, HttpResponse, ServerSentEvent, failed

RATE_HEADERS = RateHeaders(requests="x-ratelimit-{what}-requests", tokens="x-ratelimit-{what}-tokens")

CODES: Mapping[str, FailureKind] = {
    **dict.fromkeys(
        (
            "insufficient_quota",
            "credit_balance_exhausted",
            "organization_spend_limit_exceeded",
            "project_spend_limit_exceeded",
            "organization_usage_limit_exceeded",
        ),
        FailureKind.QUOTA_EXHAUSTED,
    ),
    "rate_limit_exceeded": FailureKind.RATE_LIMITED,
    "slow_down": FailureKind.RATE_LIMITED,
    "server_is_overloaded": FailureKind.UNAVAILABLE,
    "server_error": FailureKind.UNAVAILABLE,
    "context_length_exceeded": FailureKind.TOO_LONG,
    "model_not_found": FailureKind.MISCONFIGURED,
    "invalid_api_key": FailureKind.AUTH_FAILED,
    "content_filter": FailureKind.REFUSED,
    "unsupported_parameter": FailureKind.UNSUPPORTED,
    "unsupported_value": FailureKind.UNSUPPORTED,
    "invalid_encrypted_content": FailureKind.UNSUPPORTED,  # another host's: that one can be asked
}
"""`code`, or else `type`, of an error; both say more than the status."""

INVALID_TYPES: Set[str] = frozenset({"invalid_request_error", "BadRequestError"})


def join(endpoint: str, path: str) -> str:
    """The address of `path` (which begins with `/v1`); an endpoint that ends in `/v1`, as SDKs want it, is as good."""
    return endpoint.rstrip("/").removesuffix("/v1") + path


def forwarded(body: bytes, model: str, *, stream: bool, renamed: Mapping[str, str]) -> bytes:
    """The caller's own body with the vendor's model name; a stream is always asked for its usage, which we account."""
    given = fields(body)
    changed: Fields = {
        renamed.get(name, name): value for name, value in given.items() if value != _NULL or name not in renamed
    }
    changed["model"] = raw(model)
    changed.pop("stream", None)
    options = changed.pop("stream_options", None)
    if stream:
        asked: Json = msgspec.json.decode(options) if options is not None else {}
        changed["stream"] = TRUE
        changed["stream_options"] = raw((asked or {}) | {"include_usage": True})
    if b'"reasoning' in body and "messages" in changed:
        changed["messages"] = _without_thoughts(changed["messages"])
    return msgspec.json.encode(changed)


_NULL = msgspec.Raw(b"null")


def _without_thoughts(messages: msgspec.Raw) -> msgspec.Raw:
    """The messages without the thoughts that our answers show beside them: they are other vendors', or unknown."""
    told = _messages.decode(messages)
    if not any(name.startswith("reasoning") for message in told for name in message):
        return messages  # it stands elsewhere in the body
    return raw([{name: value for name, value in m.items() if not name.startswith("reasoning")} for m in told])


_messages = msgspec.json.Decoder(list[Fields])


def asked(body: Json, *, stream: bool) -> bytes:
    """A body that we have written, asked to stream or not."""
    options: Json = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    return msgspec.json.encode(body | options)


def answer(response: HttpResponse, codes: Mapping[str, FailureKind] = CODES) -> Answer:
    """The answer in a complete response."""
    return answer_in(parse_object(response.body), response, codes)


def answer_in(body: Json | None, response: HttpResponse, codes: Mapping[str, FailureKind] = CODES) -> Answer:
    """The same, for whoever has read the body already."""
    if response.status != 200:
        raise Failed(failure(body or {}, response, codes))
    if body is None:
        raise failed(FailureKind.UNAVAILABLE, "The answer is not a JSON object.", code="malformed_answer")
    if "error" in body and not body.get("choices"):
        raise Failed(failure(body, response, codes))
    return complete(ChunkReader(response.received_at_ms).completion(body))


def failure(body: Json, response: HttpResponse, codes: Mapping[str, FailureKind] = CODES) -> Failure:
    """The failure that an error body and a status stand for, in any of the shapes that compatible servers use."""
    error = _error(body)
    kind = _kind(error, response.status, codes)
    message = text(error, "message") or f"HTTP {response.status} without a message."
    retry_after = retry_after_ms(response.headers, response.received_at_ms)
    return Failure(kind, _sentence(kind, message), label(error, "code") or label(error, "type"), retry_after)


def _error(body: Json) -> Json:
    """The error object; some servers write a mere text (`{"error": "Unauthorized"}`) or no wrapper at all."""
    error = body.get("error", body)
    return {"message": error, "type": body.get("error_type")} if isinstance(error, str) else child({"": error}, "")


def _kind(error: Json, status: int, codes: Mapping[str, FailureKind]) -> FailureKind:
    known = codes.get(label(error, "code") or "") or codes.get(label(error, "type") or "")
    if known is not None:
        return known
    if status == 429 and text(error, "message").startswith("Request too large"):
        return FailureKind.TOO_LONG  # larger than the limit per minute: no waiting helps
    if status == 404 and text(error, "param") == "input":
        return FailureKind.UNSUPPORTED  # an item that another host has stored: nothing is wrong with this one
    return by_status(status if status != 200 else _status_in(error))


def _status_in(error: Json) -> int:
    """The status that an error under HTTP 200 should have had: a server's own number, or what its type implies."""
    code = count(error, "code")
    if 400 <= code < 600:
        return code
    return 400 if text(error, "type") in INVALID_TYPES else 500


def _sentence(kind: FailureKind, message: str) -> str:
    """What the record says. About credentials we speak ourselves: vendors quote the key in their message."""
    return "The vendor rejected the credential." if kind is FailureKind.AUTH_FAILED else message


class ChatStream:
    """Reads `data: {chunk}` lines up to `[DONE]`."""

    def __init__(self, received_at_ms: int, codes: Mapping[str, FailureKind] = CODES) -> None:
        self.ended = self.aside = False
        self._received_at_ms = received_at_ms
        self._codes = codes
        self._reader = ChunkReader(received_at_ms)

    def read(self, event: ServerSentEvent) -> Sequence[Event]:
        if event.data == "[DONE]":
            self.ended = self.aside = True
            return ()
        chunk = parse_object(event.data)
        if chunk is None:
            raise failed(FailureKind.UNAVAILABLE, "The stream holds a chunk that is not JSON.", code="malformed_chunk")
        if chunk.get("error"):
            raise Failed(failure(chunk, HttpResponse(200, {}, b"", self._received_at_ms), self._codes))
        self.look(chunk)
        return self._reader.read(chunk)

    def look(self, chunk: Json) -> None:
        """Look at a chunk before it is read; for vendors that add some of their own."""
