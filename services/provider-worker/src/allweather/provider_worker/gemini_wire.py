"""What all calls to Vertex AI share: addresses, and what went wrong."""

from typing import Final

from allweather.contracts.failures import FailureKind
from allweather.dialects.lenient import Json, child, children, count, parse, text
from allweather.provider_worker.failures import by_status
from allweather.provider_worker.rates import duration_ms, retry_after_ms
from allweather.provider_worker.wire import Failure, HttpResponse, Target

TOO_LONG_PHRASES: Final = ("exceeds", "supports up to")
STATUSES: Final = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL": 500,
    "UNKNOWN": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}


def url(target: Target, verb: str) -> str:
    """The address of a model's verb."""
    deployment = target.deployment
    place = f"projects/{target.project}/locations/{deployment.region}"
    return f"{target.endpoint.rstrip('/')}/v1/{place}/publishers/google/models/{deployment.model}:{verb}"


def parsed(body: str | bytes) -> Json | None:
    """The object of a body; errors of the stream endpoint come as a list of one."""
    value = parse(body)
    listed = children({"": value if isinstance(value, list) else [value]}, "")
    return listed[0] if listed else None


def failure(body: Json, response: HttpResponse) -> Failure:
    """The failure that an error body and a status stand for."""
    error = child(body, "error")
    code = text(error, "status")
    status = response.status if response.status != 200 else STATUSES.get(code) or count(error, "code")
    message = text(error, "message") or f"HTTP {status} without a message."
    kind = _kind(status, message, error)
    said = "The vendor rejected the credential." if kind is FailureKind.AUTH_FAILED else message
    retry_after = retry_after_ms(response.headers, response.received_at_ms)
    return Failure(kind, said, code or None, retry_after if retry_after is not None else _retry_delay(error))


def _kind(status: int, message: str, error: Json) -> FailureKind:
    reasons = {text(detail, "reason") for detail in children(error, "details")}
    if status == 400 and "API_KEY_INVALID" in reasons:
        return FailureKind.AUTH_FAILED
    if status == 400 and "token count" in message and any(phrase in message for phrase in TOO_LONG_PHRASES):
        return FailureKind.TOO_LONG
    return by_status(status)


def _retry_delay(error: Json) -> int | None:
    """`RetryInfo.retryDelay` (`48s`), where Google gives one."""
    delays = (duration_ms(text(detail, "retryDelay")) for detail in children(error, "details"))
    return next((delay for delay in delays if delay is not None), None)
