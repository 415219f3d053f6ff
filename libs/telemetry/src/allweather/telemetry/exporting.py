"""Where traces go. Only a process that has a collector imports this: OpenTelemetry's SDK costs memory and start-up."""

from collections.abc import Generator
from contextlib import contextmanager

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio


@contextmanager
def exporting(exporter: SpanExporter, *, service: str, instance: int, ratio: float) -> Generator[TracerProvider]:
    """Record `ratio` of the traces that begin here, and all that a sampled caller continues, until the block ends."""
    resource = Resource.create({"service.name": service, "service.instance.id": str(instance)})
    provider = TracerProvider(resource=resource, sampler=ParentBasedTraceIdRatio(ratio), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    try:
        yield provider
    finally:
        provider.shutdown()


def collector(endpoint: str) -> SpanExporter:
    """An exporter to the OTLP/HTTP collector at `endpoint` (its base address)."""
    return OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
