"""Anthropic's errors and headers."""

from datetime import UTC, datetime
from functools import lru_cache

from allweather.vendorsim.wire import Failure, Headers, Json, Problem, Request, Ticket, ascii_header, bearer, revoked

_TYPES = {
    400: ("invalid_request_error", "The request was not understood."),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "Your organization's billing details need attention."),
    403: ("permission_error", "Your API key does not have permission to use the specified resource."),
    404: ("not_found_error", "Not Found"),
    408: ("timeout_error", "Request timed out."),
    409: ("conflict_error", "The resource was changed by another request."),
    413: ("request_too_large", "Request exceeds the maximum size"),
    500: ("api_error", "Internal server error"),
    502: ("api_error", "Bad gateway"),
    503: ("api_error", "Service temporarily unavailable"),
    504: ("timeout_error", "Request timed out. Consider streaming long requests."),
    529: ("overloaded_error", "Overloaded"),
}


def problem_of(failure: Failure) -> Problem:
    """Say what Anthropic says when that happens."""
    if failure.kind == "quota":
        code = failure.code or "enforced_spend_limit_reached"
        text = failure.message or "You have reached your monthly spend limit. Access returns next month."
        return Problem(429, text, "rate_limit_error", more={"details": {"error_code": code}})
    if failure.status == 429:
        return _rate_limited(failure)
    kind, text = _TYPES.get(failure.status, ("api_error", "The request failed."))
    return Problem(failure.status, failure.message or text, failure.code or kind, retry_after=failure.retry_after)


def unauthorized(request: Request) -> Problem | None:
    key = request.headers.get("x-api-key") or bearer(request)
    if key is None:
        return Problem(401, "x-api-key header is required", "authentication_error")
    if not revoked(key):
        return None
    shown = "invalid x-api-key" if "x-api-key" in request.headers else "Invalid bearer token"
    return Problem(401, shown, "authentication_error")


def _rate_limited(failure: Failure) -> Problem:
    text = "This request would exceed your organization's rate limit of 60,000 requests per minute."
    more = {"details": {"error_code": failure.code}} if failure.code else {}
    return Problem(429, failure.message or text, "rate_limit_error", more=more, retry_after=failure.retry_after)


def error(problem: Problem, ticket: Ticket) -> Json:
    told = {"type": problem.type, "message": problem.message, **problem.more}
    return {"type": "error", "error": told, "request_id": f"req_011{ticket.token(21, 'request')}"}


def identity(ticket: Ticket) -> Headers:
    return [
        ascii_header("request-id", f"req_011{ticket.token(21, 'request')}"),
        ascii_header("anthropic-organization-id", "a11a11a1-0000-4000-8000-a11a11a11a11"),
    ]


def limits(ticket: Ticket) -> Headers:
    allowance = ticket.allowance
    reset = _timestamp(int(ticket.wall + allowance.reset_seconds))
    headers: Headers = []
    for what, limit, remaining in (
        (b"requests", allowance.limit_requests, allowance.remaining_requests),
        (b"tokens", allowance.limit_tokens, allowance.remaining_tokens),
        (b"input-tokens", allowance.limit_tokens, allowance.remaining_tokens),
        (b"output-tokens", allowance.limit_tokens, allowance.remaining_tokens),
    ):
        headers += [
            (b"anthropic-ratelimit-%b-limit" % what, b"%d" % limit),
            (b"anthropic-ratelimit-%b-remaining" % what, b"%d" % remaining),
            (b"anthropic-ratelimit-%b-reset" % what, reset),
        ]
    return headers


@lru_cache(maxsize=256)
def _timestamp(second: int) -> bytes:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
