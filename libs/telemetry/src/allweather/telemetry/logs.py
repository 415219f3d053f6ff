"""One JSON object a line, whoever logs: our code and libraries alike by `logging`.

    log = logging.getLogger(__name__)
    log.info("request parked", extra={"reason": "no healthy candidate"})

The event is a constant sentence; what varies is a field, and only fields on the list in `redaction` are written.
"""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from opentelemetry import trace

from allweather.telemetry.redaction import allowed, reported, scrubbed

NOISY = ("aiokafka", "asyncio", "httpx", "httpcore", "urllib3", "alembic", "opentelemetry", "uvicorn")
"""Libraries that say too much below a warning."""

QUIET_S = 10.0
"""A library that says the same again sooner is only counted: an outage is told once, not a hundred times a second."""

_TELLING = 48
"""Characters of a message by which it is the same: templates vary behind them, if at all."""

_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
"""What `logging` itself puts on a record; the rest are our fields."""


def configure_logs(level: str, *, stream: TextIO, **process: str | int) -> None:
    """Write every log line of this process from `level` up to `stream`, each with the fields of `process`."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_JsonLine(process))
    handler.addFilter(_Repetitions())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)


class _Repetitions(logging.Filter):
    """Lets the same words of a noisy library pass once in `QUIET_S`; `count` is how often they were said since."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith(NOISY):
            return True
        words = record.name, str(record.msg)[:_TELLING]
        at, times = self._said.get(words, (float("-inf"), 0))
        if record.created - at < QUIET_S:
            self._said[words] = at, times + 1
            return False
        self._said[words] = record.created, 0
        if times:
            record.count = times
        return True


class _JsonLine(logging.Formatter):
    """A record as one line, without secrets and without what an error quotes."""

    def __init__(self, process: Mapping[str, str | int]) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            **self._process,
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": scrubbed(record.getMessage()),
            **_trace(),
            **{name: value for name, value in vars(record).items() if name not in _OF_EVERY_RECORD},
        }
        if (error := _error(record)) is not None:
            fields["exception"] = reported(error)
        return json.dumps(allowed(fields), default=repr)


def _trace() -> dict[str, str]:
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": trace.format_trace_id(context.trace_id), "span_id": trace.format_span_id(context.span_id)}


def _error(record: logging.LogRecord) -> BaseException | None:
    return record.exc_info[1] if record.exc_info else None
