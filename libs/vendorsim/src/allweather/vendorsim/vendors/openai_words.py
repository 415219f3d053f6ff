"""OpenAI's errors and headers."""

from allweather.vendorsim.wire import (
    Call,
    Failure,
    Headers,
    Json,
    Problem,
    Request,
    Ticket,
    ascii_header,
    bearer,
    revoked,
)

_INVALID = "invalid_request_error"
_KEYS_PAGE = "You can find your API key at https://platform.openai.com/account/api-keys."
_BILLING = (
    "For more information on this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors."
)
_STATUS: dict[int, Problem] = {
    400: Problem(400, "The request could not be understood.", _INVALID),
    403: Problem(403, "You are not allowed to sample from this model", _INVALID),
    404: Problem(404, "The model `gpt-5.2` does not exist or you do not have access.", _INVALID, "model_not_found"),
    408: Problem(408, "Request timed out.", "timeout"),
    409: Problem(409, "The resource was changed by another request.", "conflict"),
    413: Problem(413, "The request is too large.", _INVALID),
    422: Problem(422, "The request was well-formed but could not be processed.", _INVALID),
    500: Problem(500, "The server had an error while processing your request. Sorry about that!", "server_error"),
    502: Problem(502, "Bad gateway.", "server_error"),
    503: Problem(
        503, "The server is overloaded or not ready yet.", "service_unavailable_error", "server_is_overloaded"
    ),
    504: Problem(504, "The server took too long to answer.", "server_error"),
}  # fmt: skip
_QUOTA = "You exceeded your current quota, please check your plan and billing details. " + _BILLING


def problem_of(failure: Failure, call: Call) -> Problem:
    """Say what OpenAI says when that happens."""
    if failure.kind == "auth":
        return incorrect_key(bearer(call.request) or "")
    if failure.kind == "quota":
        return Problem(429, failure.message or _QUOTA, "insufficient_quota", failure.code or "insufficient_quota")
    if failure.status == 429:
        return _rate_limited(failure, call)
    known = _STATUS.get(failure.status, Problem(failure.status, "The request failed.", "server_error"))
    return Problem(
        failure.status,
        failure.message or known.message,
        known.type,
        failure.code or known.code,
        retry_after=failure.retry_after,
    )


def unauthorized(request: Request) -> Problem | None:
    key = bearer(request)
    if key is None:
        text = (
            "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer "
            "auth (i.e. Authorization: Bearer YOUR_KEY). You can obtain an API key from "
            "https://platform.openai.com/account/api-keys."
        )
        return Problem(401, text, _INVALID)
    return incorrect_key(key) if revoked(key) else None


def incorrect_key(key: str) -> Problem:
    shown = f"{key[:8]}{'*' * 12}{key[-4:]}" if len(key) > 16 else "*" * 8
    return Problem(401, f"Incorrect API key provided: {shown}. {_KEYS_PAGE}", _INVALID, "invalid_api_key")


def wrong_url(request: Request) -> Problem:
    return Problem(404, f"Invalid URL ({request.method} /{request.path})", _INVALID)


def not_json() -> Problem:
    text = "We could not parse the JSON body of your request. The OpenAI API expects a JSON payload."
    return Problem(400, text, _INVALID)


def no_model_given() -> Problem:
    return Problem(400, "you must provide a model parameter", _INVALID)


def no_model(name: str) -> Problem:
    text = f"The model `{name}` does not exist or you do not have access to it."
    return Problem(404, text, _INVALID, "model_not_found")


def no_model_in_responses(name: str) -> Problem:
    """Unlike Chat Completions, Responses calls an unknown model a bad request."""
    return Problem(400, f"The requested model '{name}' does not exist.", _INVALID, "model_not_found", "model")


def _rate_limited(failure: Failure, call: Call) -> Problem:
    if failure.code == "slow_down":
        text = "Your requests are growing too fast. Please slow down, and increase your request rate gradually."
        return Problem(429, failure.message or text, "rate_limit_error", "slow_down", retry_after=failure.retry_after)
    hint = "" if failure.retry_after is None else f" Please try again in {_duration(failure.retry_after)}."
    text = (
        f"Rate limit reached for {call.target.model or 'gpt-5.2'} in organization org-allweather on requests per min "
        f"(RPM): Limit 60000, Used 60000, Requested 1.{hint} Visit https://platform.openai.com/account/rate-limits to "
        "learn more."
    )
    code = failure.code or "rate_limit_exceeded"
    return Problem(429, failure.message or text, "requests", code, retry_after=failure.retry_after)


def error(problem: Problem) -> Json:
    told = {"message": problem.message, "type": problem.type, "param": problem.param, "code": problem.code}
    return {"error": {**told, **problem.more}}


def headers(ticket: Ticket) -> Headers:
    allowance = ticket.allowance
    reset = _duration(allowance.reset_seconds).encode()
    return [
        (b"openai-version", b"2020-10-01"),
        (b"openai-organization", b"allweather"),
        (b"openai-project", b"proj_allweather"),
        (b"openai-processing-ms", b"12"),
        ascii_header("x-request-id", f"req_{ticket.hex(32, 'request')}"),
        (b"x-ratelimit-limit-requests", b"%d" % allowance.limit_requests),
        (b"x-ratelimit-limit-tokens", b"%d" % allowance.limit_tokens),
        (b"x-ratelimit-remaining-requests", b"%d" % allowance.remaining_requests),
        (b"x-ratelimit-remaining-tokens", b"%d" % allowance.remaining_tokens),
        (b"x-ratelimit-reset-requests", reset),
        (b"x-ratelimit-reset-tokens", reset),
    ]


def retry_headers(problem: Problem) -> Headers:
    if problem.retry_after is None:
        return []
    milliseconds = round(problem.retry_after * 1000)
    return [ascii_header("retry-after", -(-milliseconds // 1000)), ascii_header("retry-after-ms", milliseconds)]


def _duration(seconds: float) -> str:
    """Write a duration as Go does: `12ms`, `1.5s`, `6m0s`."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    minutes, rest = divmod(seconds, 60)
    text = f"{rest:.3f}".rstrip("0").rstrip(".")
    hours, minutes = divmod(int(minutes), 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{text}s"
