"""W3C trace context over a handler: read from records, written on what it returns."""

import re
from collections.abc import Mapping, Sequence

import msgspec
from opentelemetry import trace
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    ProxyTracer,
    ProxyTracerProvider,
    SpanContext,
    SpanKind,
    TraceFlags,
    Tracer,
)

from allweather.contracts.headers import TRACEPARENT
from allweather.messaging.types import BatchHandler, Message, Middleware, Outputs, Record

_FORM = re.compile(rb"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")

Form = re.Match[bytes]
Passing = Mapping[bytes | None, bytes]
"""Trace contexts by key, as they are written: most traces are not sampled, and only pass through."""


def traced(*, group: str, tracer: Tracer) -> Middleware:
    """One span for a batch, and none when the head of no record's trace was sampled.

    The span continues the first sampled trace and links to the others. An output continues the trace of the record
    with its key. A record without a trace begins one here, which the tracer's sampler decides upon; none where there is
    no collector.
    """

    def wrap(handler: BatchHandler) -> BatchHandler:
        async def handle(records: Sequence[Record]) -> Outputs:
            carried = {record.key: form for record in records if (form := _form(record))}
            if not carried and _is_off(tracer):
                return await handler(records)
            sampled = [_context(form) for form in carried.values() if _is_sampled(form)]
            passing = {key: b"00" + form[0][2:] for key, form in carried.items() if not _is_sampled(form)}
            if carried and not sampled:
                return _continuing(await handler(records), passing, default=None)
            parent = trace.set_span_in_context(NonRecordingSpan(sampled[0])) if sampled else None
            with tracer.start_as_current_span(
                f"process {group}",
                context=parent,
                kind=SpanKind.CONSUMER,
                links=[Link(context) for context in sampled[1:]],
                attributes={
                    "messaging.system": "kafka",
                    "messaging.consumer.group.name": group,
                    "messaging.operation.type": "process",
                    "messaging.batch.message_count": len(records),
                },
            ) as span:
                here = _written(span.get_span_context())
                return _continuing(await handler(records), passing, default=here)

        return handle

    return wrap


def _is_off(tracer: Tracer) -> bool:
    """Whether no provider of traces was set up: then a trace that begins here would have no id."""
    return isinstance(tracer, ProxyTracer) and isinstance(trace.get_tracer_provider(), ProxyTracerProvider)


def _form(record: Record) -> Form | None:
    """The trace context that a record carries; None when it carries none, or something that is none."""
    return _FORM.fullmatch(record.header(TRACEPARENT) or b"")


def _is_sampled(form: Form) -> bool:
    return bool(int(form[3], 16) & TraceFlags.SAMPLED)


def _context(form: Form) -> SpanContext:
    flags = TraceFlags(int(form[3], 16))
    return SpanContext(int(form[1], 16), int(form[2], 16), is_remote=True, trace_flags=flags)


def _continuing(outputs: Outputs, passing: Passing, default: bytes | None) -> Outputs:
    """The outputs with a trace context each, apart from those that bring their own."""

    def continued(message: Message) -> Message:
        context = passing.get(message.key, default)
        if context is None or TRACEPARENT in dict(message.headers):
            return message
        return msgspec.structs.replace(message, headers=(*message.headers, (TRACEPARENT, context)))

    return Outputs([continued(message) for message in outputs.messages], outputs.after_ack)


def _written(context: SpanContext) -> bytes:
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}".encode()
