"""W3C trace context over a handler: read from records, written on what it returns."""

import re
from collections.abc import Sequence
from dataclasses import replace

import msgspec
from opentelemetry import trace
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, TraceFlags, Tracer

from allweather.contracts.headers import TRACEPARENT
from allweather.messaging.types import BatchHandler, Message, Middleware, Outputs, Record

_FORM = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")


def traced(*, group: str, tracer: Tracer) -> Middleware:
    """One span for a batch, and none when the head of no record's trace was sampled.

    The span continues the first sampled trace and links to the others. An output continues the trace of the record
    with its key. A record without a trace begins one here, which the tracer's sampler decides upon.
    """

    def wrap(handler: BatchHandler) -> BatchHandler:
        async def handle(records: Sequence[Record]) -> Outputs:
            contexts = {record.key: context for record in records if (context := context_of(record))}
            sampled = [context for context in contexts.values() if context.trace_flags.sampled]
            if contexts and not sampled:
                return _continuing(await handler(records), contexts, default=None)
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
                here = span.get_span_context()
                unsampled = {key: context for key, context in contexts.items() if not context.trace_flags.sampled}
                return _continuing(await handler(records), unsampled, default=here)

        return handle

    return wrap


def context_of(record: Record) -> SpanContext | None:
    """The trace context that a record carries; None when it carries none, or something that is none."""
    form = _FORM.fullmatch(record.text(TRACEPARENT) or "")
    if form is None:
        return None
    trace_id, span_id, flags = form.groups()
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))


def _continuing(outputs: Outputs, contexts: dict[bytes | None, SpanContext], default: SpanContext | None) -> Outputs:
    """The outputs with a trace context each, apart from those that bring their own."""

    def continued(message: Message) -> Message:
        context = contexts.get(message.key, default)
        if context is None or any(name == TRACEPARENT for name, _ in message.headers):
            return message
        return msgspec.structs.replace(message, headers=(*message.headers, (TRACEPARENT, _written(context))))

    return replace(outputs, messages=[continued(message) for message in outputs.messages])


def _written(context: SpanContext) -> bytes:
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}".encode()
