"""How a trace goes from hop to hop."""

from collections.abc import Iterator, Sequence

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from allweather.telemetry.exporting import exporting
from allweather.telemetry.tracing import extract, inject, link

TRACEPARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-%s"


class Collected(SpanExporter):
    """Keeps what is exported."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans.extend(spans)
        return SpanExportResult.SUCCESS


@pytest.fixture
def collected() -> Collected:
    return Collected()


@pytest.fixture
def everything(collected: Collected) -> Iterator[TracerProvider]:
    with exporting(collected, service="router", instance=0, ratio=1.0) as provider:
        yield provider


def test_headers_carry_the_trace_to_the_next_hop(everything: TracerProvider):
    with everything.get_tracer("x").start_as_current_span("send") as sent:
        headers = inject()

    received = trace.get_current_span(extract(headers)).get_span_context()
    assert received.trace_id == sent.get_span_context().trace_id
    assert received.span_id == sent.get_span_context().span_id
    assert received.is_remote


def test_outside_any_trace_there_are_no_headers():
    assert inject(Context()) == ()


@pytest.mark.parametrize("headers", [(), (("traceparent", None),), (("traceparent", b"\xff\xfe"),), (("other", b"x"),)])
def test_headers_that_say_nothing_valid_begin_a_new_trace(headers: tuple[tuple[str, bytes | None], ...]):
    assert not trace.get_current_span(extract(headers)).get_span_context().is_valid
    assert link(headers) is None


def test_a_link_points_at_the_sending_span():
    found = link([("traceparent", TRACEPARENT % b"01")])

    assert found is not None
    assert trace.format_span_id(found.context.span_id) == "b7ad6b7169203331"


@pytest.mark.parametrize(("flags", "recorded"), [(b"01", 1), (b"00", 0)])
def test_the_sender_s_choice_to_record_is_kept_whatever_the_ratio(collected: Collected, flags: bytes, recorded: int):
    ratio = 0.0 if recorded else 1.0
    with exporting(collected, service="router", instance=0, ratio=ratio) as provider:
        provider.get_tracer("x").start_span("process", extract([("traceparent", TRACEPARENT % flags)])).end()

    assert len(collected.spans) == recorded


def test_spans_are_sent_before_the_process_ends_and_name_their_service(collected: Collected):
    with exporting(collected, service="router", instance=2, ratio=1.0) as provider:
        provider.get_tracer("x").start_span("process").end()

    [span] = collected.spans
    assert span.resource.attributes["service.name"] == "router"
    assert span.resource.attributes["service.instance.id"] == "2"
