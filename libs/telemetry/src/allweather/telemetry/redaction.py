"""What may leave a process in its log: fields on a list, texts without secrets, errors without their inputs."""

import re
import traceback
from typing import Any, Final, TypedDict

FIELDS: Final = frozenset(
    {
        # who and where
        "service", "instance", "logger", "level", "timestamp", "trace_id", "span_id",
        # what it is about
        "tenant", "request_id", "attempt_id", "step", "route", "vendor", "deployment", "region", "priority", "door",
        # Kafka
        "topic", "partition", "offset", "group", "member", "lag",
        # how it went
        "event", "error", "exception", "failure", "outcome", "effect", "rules", "code", "reason", "status", "state",
        "count", "bytes", "duration_ms", "limit", "shard", "size", "digest",
        # the process itself
        "schema", "revision", "probe_port", "http_port", "failpoints", "check",
    }
)  # fmt: skip
"""Fields that are written as they are; the value of any other is hidden. Nothing here may hold content or a secret."""

HIDDEN: Final = "[hidden]"

_SECRETS: Final = re.compile(
    r"(?P<keep>://[^\s:/@]*:)[^\s@]+(?=@)"  # the password in an address
    r"|(?P<scheme>\b(?:bearer|basic)\s+)[\w.~+/=-]+"
    r"|\b(?:sk|aw|rk|pk)[-_][\w-]{6,}"  # API keys
    r"|\beyJ[\w-]+\.[\w-]+\.[\w-]*"  # JSON web tokens
    r"|(?P<name>\b(?:api[-_]?key|password|secret|token)\b[\"']?\s*[=:]\s*[\"']?)[^\s,;&\"'}]+",
    re.IGNORECASE,
)

_SPEAKING: Final = (OSError, TimeoutError)
"""Besides our own: errors whose message describes the world and never quotes what was being handled."""


class ErrorReport(TypedDict):
    """An error as it is logged: a message only where it cannot quote a request or an answer."""

    type: str
    message: str
    where: list[str]
    causes: list["ErrorReport"]


def scrubbed(text: str) -> str:
    """`text` without anything that looks like a secret."""
    return _SECRETS.sub(lambda m: f"{m['keep'] or m['scheme'] or m['name'] or ''}{HIDDEN}", text)


def allowed(fields: dict[str, Any]) -> dict[str, Any]:
    """The same fields, the values of those that are not on the list hidden, texts scrubbed."""
    return {name: _shown(value) if name in FIELDS else HIDDEN for name, value in fields.items()}


def reported(error: BaseException, *, frames: int = 12) -> ErrorReport:
    """What a log may say of `error`: its type, where it came from, and its causes."""
    kind: type[BaseException] = type(error)
    speaks = isinstance(error, _SPEAKING) or kind.__module__.startswith("allweather.")
    trace = traceback.extract_tb(error.__traceback__)[-frames:]
    return ErrorReport(
        type=f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins."),
        message=scrubbed(str(error)) if speaks else HIDDEN,
        where=[f"{frame.filename}:{frame.lineno} {frame.name}" for frame in trace],
        causes=[reported(cause) for cause in _causes(error)],
    )


def _causes(error: BaseException) -> tuple[BaseException, ...]:
    """The members of a group, or what the error was raised from."""
    return getattr(error, "exceptions", (error.__cause__,) if error.__cause__ else ())


def _shown(value: Any) -> Any:
    return scrubbed(value) if isinstance(value, str) else value
