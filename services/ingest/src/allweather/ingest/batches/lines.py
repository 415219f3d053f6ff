"""The lines of a batch: how they are read, and what is written about each. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import msgspec

from allweather.contracts.failures import OutcomeKind
from allweather.contracts.json_text import syntax_fault
from allweather.dialects.lenient import Json
from allweather.ingest import responses
from allweather.ingest.batches.batch import MESSAGES, Batch
from allweather.ingest.replies import Reply

MOST_FAULTS: Final = 100
MAX_NAME: Final = 512


@dataclass(frozen=True, slots=True)
class Line:
    """One request of a batch."""

    number: int
    custom_id: str
    body: bytes


class Fault(Exception):
    """What is wrong with a line."""

    def __init__(self, number: int, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.told: Json = {"code": code, "line": number + 1, "message": message, "param": param}


class _Given(msgspec.Struct):
    custom_id: str
    method: str = "POST"
    url: str | None = None
    body: msgspec.Raw = msgspec.Raw(b"")
    params: msgspec.Raw = msgspec.Raw(b"")


class _Body(msgspec.Struct):
    model: Any = None
    stream: Any = None


_given = msgspec.json.Decoder(_Given)
_body = msgspec.json.Decoder(_Body)


def split(content: bytes) -> Iterator[bytes]:
    """The lines of a part of a file; blank ones are none."""
    return (line for line in content.split(b"\n") if line.strip())


def read(endpoint: str, number: int, text: bytes) -> Line:
    """The request in a line. Raises `Fault`."""
    try:
        text.decode()
        given = _given.decode(text)
    except msgspec.ValidationError as error:
        raise Fault(number, "invalid_request", f"This line is not as expected: {error}.") from None
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError) as error:
        raise Fault(number, "invalid_json_line", syntax_fault(error, text)) from None
    body = bytes(given.params if endpoint == MESSAGES else given.body)
    if not body:
        param = "params" if endpoint == MESSAGES else "body"
        raise Fault(number, "missing_required_parameter", f"Missing required parameter: '{param}'.", param)
    _check(endpoint, number, given)
    _check_body(number, body)
    return Line(number, given.custom_id, _passed_on(endpoint, body))


def _check(endpoint: str, number: int, given: _Given) -> None:
    if not 1 <= len(given.custom_id) <= MAX_NAME:
        raise Fault(number, "invalid_custom_id", f"'custom_id' is 1 to {MAX_NAME} characters.", "custom_id")
    if endpoint != MESSAGES and given.method != "POST":
        raise Fault(number, "invalid_method", "'method' is POST.", "method")
    if endpoint != MESSAGES and given.url != endpoint:
        raise Fault(number, "mismatched_endpoint", f"'url' is the endpoint of the batch, {endpoint}.", "url")


def _check_body(number: int, body: bytes) -> None:
    try:
        given = _body.decode(body)
    except msgspec.MsgspecError:
        raise Fault(number, "invalid_type", "The request is a JSON object.", "body") from None
    if given.stream is True:
        raise Fault(number, "unsupported_value", "Nobody listens to a stream in a batch.", "body.stream")


def _passed_on(endpoint: str, body: bytes) -> bytes:
    return responses.publishable(body, background=True) if endpoint == "/v1/responses" else body


def result(batch: Batch, line: Line, reply: Reply | None, request_id: str) -> tuple[str, Json]:
    """How a line ended in one word, and what is written about it."""
    if batch.endpoint == MESSAGES:
        return _message_result(batch, line, reply)
    told: Json = {"id": f"batch_req_{request_id.removeprefix('req_')}", "custom_id": line.custom_id}
    if reply is None or reply.outcome in _NEVER_ANSWERED:
        word = "cancelled" if batch.cancelled_at_ms else "expired"
        error = {"code": f"batch_{word}", "message": "This request was not answered before its batch ended."}
        return word, told | {"response": None, "error": error}
    answered = {"status_code": reply.status, "request_id": request_id, "body": _json(reply.body)}
    word = "succeeded" if reply.is_answer else "errored"
    return word, told | {"response": answered, "error": None}


_NEVER_ANSWERED: Final = frozenset({OutcomeKind.EXPIRED.value, OutcomeKind.CANCELLED.value})


def _message_result(batch: Batch, line: Line, reply: Reply | None) -> tuple[str, Json]:
    if reply is None or reply.outcome in _NEVER_ANSWERED:
        word = "canceled" if batch.cancelled_at_ms else "expired"
        return word, {"custom_id": line.custom_id, "result": {"type": word}}
    if reply.is_answer:
        said = {"type": "succeeded", "message": _json(reply.body)}
        return "succeeded", {"custom_id": line.custom_id, "result": said}
    return "errored", {"custom_id": line.custom_id, "result": {"type": "errored", "error": _json(reply.body)}}


def _json(body: bytes) -> msgspec.Raw:
    return msgspec.Raw(body or b"null")


def shown_id(prefix: str, name: UUID) -> str:
    """An id as callers see it."""
    return f"{prefix}{name.hex}"


def parse_id(prefix: str, text: str) -> UUID | None:
    """The id in what a caller sent; None when it is no id of that kind."""
    digits = text.removeprefix(prefix)
    if not text.startswith(prefix) or len(digits) != 32:
        return None
    try:
        return UUID(hex=digits)
    except ValueError:
        return None
