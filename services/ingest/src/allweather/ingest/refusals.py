"""What a caller is told instead of an answer, before its request was accepted or while it is on its way.

Nothing here is an outcome: outcomes are decided by the router and given as they are.
"""

from typing import Final
from uuid import uuid4

from allweather.contracts import errors
from allweather.contracts.errors import ApiError
from allweather.contracts.slip import Dialect

SHOULD_RETRY: Final = "x-should-retry"
"""The official SDKs obey it, before they look at the status."""


class Refused(Exception):
    """The request was not accepted, or its outcome is not known yet."""

    def __init__(self, error: ApiError, headers: tuple[tuple[str, str], ...] = (), *, close: bool = False) -> None:
        super().__init__(error.message)
        self.error = error
        self.headers = headers
        self.close = close
        """Whether the connection ends here, because a body that nobody will read is on its way."""

    def body(self, dialect: Dialect, request_id: str) -> bytes:
        """What the caller of a dialect is sent."""
        return errors.render(self.error, dialect, request_id)


def new_call_id() -> str:
    """An id for a response that belongs to no request, for the caller to quote and for us to find in a log."""
    return f"call_{uuid4().hex}"


def invalid(code: str, message: str, param: str | None = None) -> Refused:
    """400: the caller must change something."""
    return Refused(ApiError(400, "invalid_request_error", code, message, param))


def unauthorized() -> Refused:
    """401, whatever is wrong with the key: to say more would help to guess one."""
    message = "Incorrect API key provided. Send it as 'Authorization: Bearer <key>' or as 'x-api-key: <key>'."
    return Refused(ApiError(401, "invalid_request_error", "invalid_api_key", message), _bearer(), close=True)


def too_large(limit: int) -> Refused:
    """413, before the body is read."""
    message = f"The body is larger than {limit >> 20} MiB."
    return Refused(ApiError(413, "invalid_request_error", "body_too_large", message), close=True)


def too_slow(seconds: float) -> Refused:
    """408: a body that trickles in holds a place for nothing."""
    message = f"The body did not arrive within {seconds:g} seconds."
    return Refused(ApiError(408, "invalid_request_error", "body_timeout", message), close=True)


def unsupported_encoding(encoding: str) -> Refused:
    """415: compressed bodies are not opened at the door."""
    message = f"Content-Encoding '{encoding}' is not supported: send the body as it is."
    return Refused(ApiError(415, "invalid_request_error", "unsupported_encoding", message), close=True)


def conflict() -> Refused:
    """422: the idempotency key was used for another body."""
    message = "This Idempotency-Key was used for another body. Use a new key for a new request."
    return Refused(errors.conflict(message), ((SHOULD_RETRY, "false"),))


def over_limit(message: str) -> Refused:
    """429: the tenant has too much waiting already."""
    return Refused(ApiError(429, "rate_limit_error", "parked_limit_reached", message), (("retry-after", "10"),))


def crowded() -> Refused:
    """503: this door has as many callers waiting as it may; nothing was accepted."""
    message = "Too many callers are waiting at this door. Try again."
    return Refused(ApiError(503, "server_error", "overloaded", message), (("retry-after", "1"),), close=True)


def unavailable(message: str) -> Refused:
    """503: something is away, and nothing was changed."""
    return Refused(ApiError(503, "server_error", "unavailable", message), (("retry-after", "1"),))


def unknown_fate(key: str, *, minted: bool) -> Refused:
    """503: whether the request was accepted is not known. The same key makes a second try harmless.

    An SDK that does not know the key must not try again by itself: that would be another request.
    """
    message = f"Whether this request was accepted is unknown. Retry it with the header 'Idempotency-Key: {key}'."
    error = ApiError(503, "server_error", "outcome_unknown", message)
    told = (("retry-after", "1"), ("idempotency-key", key), (SHOULD_RETRY, "false" if minted else "true"))
    return Refused(error, told)


def pending(public_id: str) -> Refused:
    """504: the door stops waiting, the request goes on. Never `failed`."""
    message = f"Request {public_id} is still in progress and will get its outcome: GET /v1/requests/{public_id}."
    error = ApiError(504, "server_error", "pending", message)
    return Refused(error, ((SHOULD_RETRY, "false"), ("location", f"/v1/requests/{public_id}")))


def not_found(message: str) -> Refused:
    """404."""
    return Refused(ApiError(404, "invalid_request_error", "not_found", message))


def wrong_method(allowed: str) -> Refused:
    """405."""
    error = ApiError(405, "invalid_request_error", "method_not_allowed", f"This path takes {allowed} only.")
    return Refused(error, (("allow", allowed),), close=True)


def _bearer() -> tuple[tuple[str, str], ...]:
    return (("www-authenticate", "Bearer"),)
