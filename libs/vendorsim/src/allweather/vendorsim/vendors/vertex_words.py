"""Google's errors and headers, and the OAuth token endpoint."""

from urllib.parse import parse_qs

import msgspec

from allweather.vendorsim.wire import (
    Call,
    Failure,
    Headers,
    Json,
    Problem,
    Reply,
    Request,
    Ticket,
    ascii_header,
    bearer,
    encode,
    revoked,
)

_STATUSES = {
    400: ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    401: ("UNAUTHENTICATED", ""),
    403: ("PERMISSION_DENIED", "Permission 'aiplatform.endpoints.predict' denied on resource (or it may not exist)."),
    404: ("NOT_FOUND", "Requested entity was not found."),
    409: ("ABORTED", "The operation was aborted."),
    499: ("CANCELLED", "The operation was cancelled."),
    500: ("INTERNAL", "Internal error encountered."),
    502: ("UNAVAILABLE", "Bad gateway."),
    503: ("UNAVAILABLE", "The service is currently unavailable."),
    504: ("DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
}
_UNAUTHENTICATED = (
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
    "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
)
_EXHAUSTED = (
    "Resource exhausted. Please try again later. Please refer to "
    "https://cloud.google.com/vertex-ai/generative-ai/docs/error-code-429 for more details."
)
_QUOTA = (
    "Quota exceeded for aiplatform.googleapis.com/generate_content_requests_per_minute_per_project_per_base_model "
    "with base model: {model}. Please submit a quota increase request."
)
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def problem_of(failure: Failure, call: Call) -> Problem:
    """Say what Google says when that happens."""
    if failure.kind == "auth":
        return _unauthenticated("ACCESS_TOKEN_TYPE_UNSUPPORTED")
    if failure.kind == "quota" or failure.status == 429:
        text = _QUOTA.format(model=call.target.model) if failure.kind == "quota" else _EXHAUSTED
        code = failure.code or "RESOURCE_EXHAUSTED"
        return Problem(429, failure.message or text, code, retry_after=failure.retry_after)
    status, text = _STATUSES.get(failure.status, ("UNKNOWN", "Unknown error."))
    return Problem(failure.status, failure.message or text, failure.code or status, retry_after=failure.retry_after)


def no_page(request: Request) -> Problem:
    return Problem(404, f"The requested URL /{request.path} was not found.", "NOT_FOUND")


def no_model(request: Request) -> Problem:
    text = (
        f"Publisher Model `{request.path.partition('/')[2].partition(':')[0]}` was not found or your project "
        "does not have access to it. Please ensure you are using a valid model version."
    )
    return Problem(404, text, "NOT_FOUND")


def not_json() -> Problem:
    return Problem(400, "Invalid JSON payload received. Unexpected token.", "INVALID_ARGUMENT")


def token(request: Request, ticket: Ticket) -> Reply:
    """Exchange a signed assertion for an access token; the signature is not verified."""
    form = parse_qs(request.body.decode("latin-1"))
    assertion = (form.get("assertion") or [""])[0]
    told_with = headers(ticket)
    if form.get("grant_type") != [_GRANT]:
        told = {"error": "unsupported_grant_type", "error_description": "Invalid grant_type"}
        return Reply(400, told_with, pretty(told))
    if assertion.count(".") != 2:
        told = {"error": "invalid_grant", "error_description": "Bad Request: the assertion is not a signed JWT."}
        return Reply(400, told_with, pretty(told))
    granted = {"access_token": f"ya29.{ticket.token(60, 'access')}", "expires_in": 3599, "token_type": "Bearer"}
    return Reply(200, told_with, pretty(granted))


def unauthorized(request: Request) -> Problem | None:
    token = bearer(request)
    if token is None:
        return _unauthenticated("CREDENTIALS_MISSING")
    return _unauthenticated("ACCESS_TOKEN_TYPE_UNSUPPORTED") if revoked(token) else None


def _unauthenticated(reason: str) -> Problem:
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}
    return Problem(401, _UNAUTHENTICATED, "UNAUTHENTICATED", more={"details": [info]})


def error(problem: Problem) -> Json:
    told = {"code": problem.status, "message": problem.message, "status": problem.type}
    return {"error": {**told, **problem.more}}


def pretty(value: object) -> bytes:
    return indented(encode(value))


def indented(body: bytes) -> bytes:
    """Write JSON as Google's front ends do: indented, with a final newline."""
    return msgspec.json.format(body, indent=2) + b"\n"


def headers(ticket: Ticket) -> Headers:
    return [
        (b"content-type", b"application/json; charset=UTF-8"),
        (b"vary", b"Origin, X-Origin, Referer"),
        ascii_header("x-cloud-trace-context", ticket.hex(32, "trace")),
    ]
