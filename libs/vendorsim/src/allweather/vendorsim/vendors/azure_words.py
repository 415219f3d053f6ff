"""Azure OpenAI's errors and headers."""

from allweather.vendorsim.catalogue import AZURE_REGIONS
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
_LONG_WAIT = 86400
"""Seconds a deployment without quota tells its callers to wait."""
_DENIED = (
    "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an "
    "active subscription and use a correct regional API endpoint for your resource."
)
_NO_DEPLOYMENT = (
    "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, "
    "please wait a moment and try again."
)
_FILTERED = (
    "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify "
    "your prompt and retry. To learn more about our content filtering policies please read our documentation: "
    "https://go.microsoft.com/fwlink/?linkid=2198766"
)
_TEXTS = {
    400: "The request could not be understood.",
    403: "Public access is disabled. Please configure private endpoint.",
    404: "Resource not found",
    408: "Operation timed out.",
    500: "The server had an error while processing your request. Sorry about that!",
    503: "The service is temporarily unable to process your request. Please try again later.",
}


def problem_of(failure: Failure, call: Call) -> Problem:
    """Say what Azure says when that happens."""
    if failure.kind == "auth":
        return Problem(401, _DENIED, code="401")
    if failure.kind == "quota" or failure.status == 429:
        return _rate_limited(failure, call)
    text = failure.message or _TEXTS.get(failure.status, "The request failed.")
    code = failure.code or str(failure.status)
    return Problem(failure.status, text, code=code, retry_after=failure.retry_after)


def unauthorized(request: Request) -> Problem | None:
    key = request.headers.get("api-key") or bearer(request)
    return Problem(401, _DENIED, code="401") if key is None or revoked(key) else None


def not_found() -> Problem:
    return Problem(404, "Resource not found", code="404")


def no_deployment() -> Problem:
    return Problem(404, _NO_DEPLOYMENT, _INVALID, "DeploymentNotFound")


def not_json() -> Problem:
    return Problem(400, "The request body is not valid JSON.", _INVALID)


def filtered(findings: Json) -> Problem:
    """Return the answer to a prompt that the content filter stops."""
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": findings}
    return Problem(400, _FILTERED, None, "content_filter", "prompt", {"status": 400, "innererror": inner})


def _rate_limited(failure: Failure, call: Call) -> Problem:
    retry_after = _LONG_WAIT if failure.kind == "quota" and failure.retry_after is None else failure.retry_after
    version = call.request.query.get("api-version")
    wait = f" Please retry after {round(retry_after or 1)} seconds."
    if version is None:
        text = failure.message or f"Your requests have exceeded the call rate limit of this deployment.{wait}"
        more = {"details": text}
        return Problem(429, text, code=failure.code or "RateLimitReached", more=more, retry_after=retry_after)
    text = (
        f"Requests to the ChatCompletions_Create Operation under Azure OpenAI API version {version} have exceeded "
        f"token rate limit of your current OpenAI S0 pricing tier.{wait} Please contact Azure support service if you "
        "would like to further increase the default rate limit."
    )
    return Problem(429, failure.message or text, code=failure.code or "429", retry_after=retry_after)


def error(problem: Problem) -> Json:
    """Render as Azure does: errors of the gateway have a code and no type, errors of the model all four members."""
    if problem.type is None and problem.param is None:
        return {"error": {"code": problem.code, "message": problem.message, **problem.more}}
    if problem.code == "DeploymentNotFound":
        return {"error": {"type": problem.type, "code": problem.code, "message": problem.message}}
    told = {"message": problem.message, "type": problem.type, "param": problem.param, "code": problem.code}
    return {"error": {**told, **problem.more}}


def headers(call: Call, ticket: Ticket) -> Headers:
    allowance = ticket.allowance
    asked = call.request.headers.get("x-ms-client-request-id")
    headers = [
        ascii_header("apim-request-id", ticket.uuid("apim")),
        ascii_header("x-ms-client-request-id", asked or ticket.uuid("client")),
        ascii_header("x-ms-region", AZURE_REGIONS.get(call.target.region or "", "Unknown")),
        ascii_header("x-request-id", ticket.uuid("request")),
        (b"azureml-model-session", b"d001-20261101000000"),
    ]
    milliseconds = round(allowance.reset_seconds * 1000)
    for what, limit, remaining in (
        (b"requests", allowance.limit_requests, allowance.remaining_requests),
        (b"tokens", allowance.limit_tokens, allowance.remaining_tokens),
    ):
        headers += [
            (b"x-ratelimit-limit-%b" % what, b"%d" % limit),
            (b"x-ratelimit-remaining-%b" % what, b"%d" % remaining),
            (b"x-ratelimit-reset-%b" % what, b"%d" % milliseconds),
            (b"x-ratelimit-renewalperiod-%b" % what, b"60"),
        ]
    return headers


def retry_headers(problem: Problem) -> Headers:
    """Azure rounds seconds up and tells milliseconds apart; it was seen to say 1 and 0 in one answer."""
    if problem.retry_after is None:
        return []
    milliseconds = round(problem.retry_after * 1000)
    return [ascii_header("retry-after", -(-milliseconds // 1000)), ascii_header("retry-after-ms", milliseconds)]
