"""What a vendor call tells operators: one span where its trace is sampled, and the metrics of every call."""

from collections.abc import Generator
from contextlib import AbstractContextManager, nullcontext

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind

from allweather.contracts.config import Vendor
from allweather.contracts.records import AttemptResult
from allweather.provider_worker.wire import Target
from allweather.provider_worker.work import Work
from allweather.telemetry import metrics, semconv
from allweather.telemetry.tracing import tracer

_tracer = tracer(__name__)
_NO_SPAN = nullcontext(trace.INVALID_SPAN)


class Observer:
    """Spans and metrics of the calls to one vendor."""

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor

    def span(self, work: Work, target: Target) -> AbstractContextManager[Span]:
        """A client span around one vendor call, where the record's own span is recorded: else it costs nothing."""
        if not trace.get_current_span().is_recording():
            return _NO_SPAN
        name = f"{work.slip.dialect.operation} {target.deployment.model}"
        return _tracer.start_as_current_span(name, kind=SpanKind.CLIENT, attributes=self._asked(work, target))

    def ended(self, span: Span, target: Target, ended: AttemptResult) -> None:
        """Count a finished call, and say on its span how it went."""
        self._count(target.deployment.model, ended)
        if span.is_recording():
            span.set_attributes(dict(_outcome(ended)))

    def _asked(self, work: Work, target: Target) -> dict[str, str | bool]:
        return {
            semconv.GEN_AI_OPERATION: work.slip.dialect.operation,
            semconv.GEN_AI_PROVIDER: self._vendor.provider_name,
            semconv.GEN_AI_REQUEST_MODEL: target.deployment.model,
            semconv.GEN_AI_REQUEST_STREAM: work.streams,
            semconv.TENANT: work.slip.tenant,
            semconv.REQUEST_ID: str(work.slip.request_id),
            semconv.ATTEMPT_ID: str(work.dispatch.attempt_id),
            semconv.DEPLOYMENT: target.deployment.id,
            semconv.ROUTE: work.slip.route,
        }

    def _count(self, model: str, ended: AttemptResult) -> None:
        provider = self._vendor.provider_name
        labels = metrics.Call(provider, model, ended.failure or "")
        metrics.CALL_DURATION.observe(labels, (ended.ended_at_ms - ended.started_at_ms) / 1000)
        if ended.first_token_ms is not None and ended.delta_count:
            metrics.FIRST_CHUNK.observe(metrics.Model(provider, model), ended.first_token_ms / 1000)
        if ended.usage is not None:
            metrics.TOKENS.observe(metrics.Tokens(provider, model, "input"), ended.usage.input_tokens)
            metrics.TOKENS.observe(metrics.Tokens(provider, model, "output"), ended.usage.output_tokens)


def _outcome(ended: AttemptResult) -> Generator[tuple[str, str | int | float | list[str]]]:
    if ended.failure is not None:
        yield semconv.ERROR_TYPE, ended.failure
        yield semconv.FAILURE_KIND, ended.failure
    if ended.finish_reason is not None:
        yield semconv.GEN_AI_RESPONSE_FINISH_REASONS, [ended.finish_reason]
    if ended.served_model is not None:
        yield semconv.GEN_AI_RESPONSE_MODEL, ended.served_model
    if ended.first_token_ms is not None:
        yield semconv.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK, ended.first_token_ms / 1000
    if ended.usage is not None:
        yield semconv.GEN_AI_USAGE_INPUT_TOKENS, ended.usage.input_tokens
        yield semconv.GEN_AI_USAGE_OUTPUT_TOKENS, ended.usage.output_tokens
        yield semconv.GEN_AI_USAGE_CACHE_READ, ended.usage.cached_input_tokens
        yield semconv.GEN_AI_USAGE_REASONING, ended.usage.reasoning_tokens
