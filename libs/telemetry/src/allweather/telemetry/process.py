"""Logs and traces of a whole process, set up and flushed in one place."""

import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Protocol

from opentelemetry import trace

from allweather.telemetry.logs import configure_logs


class TelemetrySettings(Protocol):
    """What of a service's settings concerns telemetry."""

    @property
    def instance(self) -> int: ...
    @property
    def log_level(self) -> str: ...
    @property
    def otlp_endpoint(self) -> str | None: ...
    @property
    def trace_ratio(self) -> float: ...


@contextmanager
def observed(name: str, settings: TelemetrySettings) -> Generator[None]:
    """Log and trace as the service `name` while the block runs; what is not yet sent is sent at its end."""
    configure_logs(settings.log_level, stream=sys.stdout, service=name, instance=settings.instance)
    with ExitStack() as stack:
        if settings.otlp_endpoint:
            from allweather.telemetry.exporting import collector, exporting

            exporter = collector(settings.otlp_endpoint)
            provider = stack.enter_context(
                exporting(exporter, service=name, instance=settings.instance, ratio=settings.trace_ratio)
            )
            trace.set_tracer_provider(provider)
        yield
