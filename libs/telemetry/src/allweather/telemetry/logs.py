"""One JSON object a line, whoever logs: our code by structlog, libraries by `logging`.

    log = structlog.get_logger(__name__)
    with about(tenant=slip.tenant, request_id=str(slip.request_id)):
        log.info("request parked", reason="no healthy candidate")

The event is a constant sentence; what varies is a field, and only fields on the list in `redaction` are written.
"""

import logging
import sys
from collections.abc import MutableMapping
from contextlib import AbstractContextManager
from typing import Any, TextIO, cast

import structlog
from opentelemetry import trace
from structlog.typing import EventDict, Processor, WrappedLogger

from allweather.telemetry.redaction import allowed, reported, scrubbed

NOISY = ("aiokafka", "asyncio", "httpx", "httpcore", "urllib3", "alembic", "opentelemetry", "uvicorn")
"""Libraries that say too much below a warning."""


def configure_logs(level: str, *, stream: TextIO, **process: str | int) -> None:
    """Write every log line of this process from `level` up to `stream`, each with the fields of `process`."""
    shared = _shared(process)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[_rendered_error, _redacted, structlog.processors.JSONRenderer()],
        )
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)


def about(**fields: str | int) -> AbstractContextManager[Any]:
    """Put `fields` on every line that is logged inside the block."""
    return structlog.contextvars.bound_contextvars(**fields)


def _shared(process: dict[str, str | int]) -> list[Processor]:
    def add_process(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {**process, **event}

    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
        add_process,
    ]


def _add_trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
        event["span_id"] = trace.format_span_id(context.span_id)
    return event


def _rendered_error(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace `exc_info` by a report that quotes no input."""
    error = _error(event.pop("exc_info", None))
    if error is not None:
        event["exception"] = reported(error)
    return event


def _error(given: object) -> BaseException | None:
    """The error of an `exc_info`, which may be an error, a triple, or the wish to log the one being handled."""
    if isinstance(given, BaseException):
        return given
    handled = cast("tuple[object, BaseException | None, object]", given) if isinstance(given, tuple) else sys.exc_info()
    return handled[1] if given else None


def _redacted(_logger: WrappedLogger, _method: str, event: EventDict) -> MutableMapping[str, Any]:
    fields = structlog.stdlib.ProcessorFormatter.remove_processors_meta(_logger, _method, event)
    return allowed({**fields, "event": scrubbed(str(fields.get("event", "")))})
