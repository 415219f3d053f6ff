"""The one renderer of denials and errors: a caller sees the same error whichever service refused it.

`render` gives the body in the caller's dialect and the HTTP status under which the door sends it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from allweather.contracts.failures import OutcomeKind
from allweather.contracts.slip import Dialect


@dataclass(frozen=True, slots=True)
class ApiError:
    """An error as a caller should see it. `message` says what is wrong and what to do."""

    status: int
    type: str
    code: str | None
    message: str
    param: str | None = None


def render(error: ApiError, dialect: Dialect = Dialect.OPENAI_CHAT, request_id: str | None = None) -> bytes:
    """The error body in `dialect`, with the public id of the request where the dialect has a place for it."""
    return _RENDERERS[dialect](error, request_id)


def _openai(error: ApiError, _request_id: str | None) -> bytes:
    body = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
    return json.dumps({"error": body}, separators=(",", ":"), ensure_ascii=False).encode()


def _anthropic(error: ApiError, request_id: str | None) -> bytes:
    """Anthropic has no place for the field to blame and for a code but these details."""
    kind = _ANTHROPIC_TYPES.get(error.status, "api_error" if error.status >= 500 else "invalid_request_error")
    details = {name: value for name, value in (("error_code", error.code), ("param", error.param)) if value}
    body = {"type": kind, "message": error.message} | ({"details": details} if details else {})
    told = {"type": "error", "error": body} | ({"request_id": request_id} if request_id else {})
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode()


_MAX_NAMED: Final = 5
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}

_RENDERERS = {
    Dialect.OPENAI_CHAT: _openai,
    Dialect.OPENAI_RESPONSES: _openai,
    Dialect.OPENAI_EMBEDDINGS: _openai,
    Dialect.ANTHROPIC_MESSAGES: _anthropic,
}

_STATUS_AND_TYPE: dict[OutcomeKind, tuple[int, str]] = {
    OutcomeKind.REFUSED: (400, "invalid_request_error"),
    OutcomeKind.DENIED: (403, "permission_error"),
    OutcomeKind.INVALID: (400, "invalid_request_error"),
    OutcomeKind.TOO_LONG: (400, "invalid_request_error"),
    OutcomeKind.INTERRUPTED: (502, "server_error"),
    OutcomeKind.EXPIRED: (504, "server_error"),
    OutcomeKind.CANCELLED: (409, "invalid_request_error"),
    OutcomeKind.OVER_LIMIT: (429, "rate_limit_error"),
    OutcomeKind.DEAD_LETTERED: (500, "server_error"),
}


def for_outcome(outcome: OutcomeKind, message: str, *, code: str | None = None, param: str | None = None) -> ApiError:
    """The error under which an outcome other than an answer is given. An unknown model is a 404, as vendors do."""
    status, kind = _STATUS_AND_TYPE[outcome]
    if code == "model_not_found":
        status, kind = 404, "invalid_request_error"
    return ApiError(status, kind, code or outcome.value, message, param)


def could(deployments: Sequence[str]) -> str:
    """Who could be asked what nobody behind the caller's route can."""
    if not deployments:
        return "No deployment of the catalogue can: leave it out."
    more = f" and {len(deployments) - _MAX_NAMED} more" if len(deployments) > _MAX_NAMED else ""
    return f"These could: {', '.join(deployments[:_MAX_NAMED])}{more}."


def conflict(message: str) -> ApiError:
    """The same idempotency key was used with another body."""
    return ApiError(422, "invalid_request_error", "idempotency_conflict", message)
