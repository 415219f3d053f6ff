"""Each wrapper by itself, around handlers that fail in the ways it is there for."""

import struct
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

from allweather.messaging import (
    BatchHandler,
    DeadLetterLimit,
    MalformedInput,
    Message,
    MetricName,
    Middleware,
    Outputs,
    PermanentError,
    Record,
    TransientError,
)
from allweather.messaging.middleware import Backoff, RecentDeadLetters, dead_letter, metered, retry, traced

QUICK = Backoff(base=0.0001, cap=0.001)


def record(n: int = 0, *headers: tuple[str, bytes | None], topic: str = "ai.internal.x.v1") -> Record:
    return Record(topic, 3, n, 1_700_000_000_000, f"key-{n}".encode(), str(n).encode(), headers)


def copy(records: Sequence[Record]) -> Outputs:
    return Outputs([Message("out", each.value, each.key) for each in records])


def failing(error: Callable[[Record], Exception | None]) -> BatchHandler:
    """A handler that fails a batch for the first record that `error` has something against."""

    async def handle(records: Sequence[Record]) -> Outputs:
        for each in records:
            found = error(each)
            if found is not None:
                raise found
        return copy(records)

    return handle


def on(n: int, error: Exception) -> Callable[[Record], Exception | None]:
    return lambda each: error if each.offset == n else None


def values(outputs: Outputs, topic: str) -> list[bytes | None]:
    return [message.value for message in outputs.messages if message.topic == topic]


class Numbers:
    """Metrics that are remembered."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, float, dict[str, str]]] = []

    def count(self, name: MetricName, value: float = 1, /, **labels: str) -> None:
        self.seen.append((name, value, labels))

    observe = gauge = count


# Retry


async def test_batch_is_repeated_until_the_dependency_is_back() -> None:
    failures = [TransientError("away"), TransientError("away"), None]

    outputs = await retry(group="g", backoff=QUICK)(failing(lambda _: failures.pop(0)))([record()])

    assert values(outputs, "out") == [b"0"]


async def test_other_errors_are_not_repeated() -> None:
    with pytest.raises(PermanentError):
        await retry(group="g", backoff=QUICK)(failing(on(0, PermanentError("never"))))([record()])


@given(st.integers(0, 10_000))
def test_wait_stays_below_a_bound_that_doubles_up_to_its_cap(attempt: int) -> None:
    backoff = Backoff(base=0.1, cap=5.0)

    assert 0 <= backoff.delay(attempt) <= backoff.bound(attempt) <= 5.0
    assert backoff.bound(attempt + 1) in {2 * backoff.bound(attempt), 5.0}


# Dead letters


async def test_only_the_poison_record_is_put_aside() -> None:
    handler = dead_letter(group="g")(failing(on(1, PermanentError("no such schema"))))

    outputs = await handler([record(0), record(1), record(2)])

    assert values(outputs, "out") == [b"0", b"2"]
    assert values(outputs, "ai.internal.x.v1.dlq") == [b"1"]


async def test_dead_letter_is_the_record_verbatim_with_springs_headers_beside_it() -> None:
    headers = (("opaque", b"\xff"), ("none", None))
    handler = dead_letter(group="g")(failing(on(7, PermanentError("no such schema"))))

    (letter,) = (await handler([record(7, *headers)])).messages

    assert (letter.key, letter.value, letter.headers[:2]) == (b"key-7", b"7", headers)
    added = dict(letter.headers[2:])
    assert added["kafka_dlt-original-topic"] == b"ai.internal.x.v1"
    assert struct.unpack(">i", added["kafka_dlt-original-partition"] or b"") == (3,)
    assert struct.unpack(">q", added["kafka_dlt-original-offset"] or b"") == (7,)
    assert struct.unpack(">q", added["kafka_dlt-original-timestamp"] or b"") == (1_700_000_000_000,)
    assert added["kafka_dlt-original-consumer-group"] == b"g"
    assert added["kafka_dlt-exception-fqcn"] == b"allweather.messaging.errors.PermanentError"
    assert added["dlq-reason"] == b"no such schema"


async def test_bug_is_tried_again_before_it_is_final_and_quotes_nothing() -> None:
    tries: list[int] = []

    def bug(each: Record) -> Exception:
        tries.append(each.offset)
        return ValueError("the payload said sk-secret")

    (letter,) = (await dead_letter(group="g", deliveries=3)(failing(bug))([record()])).messages

    assert len(tries) == 4  # once in its batch, three times alone
    assert b"sk-secret" not in b"".join(value or b"" for _, value in letter.headers)
    assert dict(letter.headers)["dlq-reason"] == b"bug: ValueError"


async def test_bug_that_goes_away_makes_no_dead_letter() -> None:
    failures: list[Exception | None] = [ValueError(), ValueError(), None]

    outputs = await dead_letter(group="g")(failing(lambda _: failures.pop(0)))([record()])

    assert values(outputs, "out") == [b"0"]


async def test_dependency_that_is_away_never_makes_a_dead_letter() -> None:
    with pytest.raises(TransientError):
        await dead_letter(group="g")(failing(on(0, TransientError("away"))))([record()])


async def test_request_that_can_be_read_gets_an_outcome_beside_its_dead_letter() -> None:
    def outcome(each: Record, reason: str) -> Sequence[Message]:
        return [Message("outcomes", reason.encode(), each.key)]

    handler = dead_letter(group="g", outcome_for=outcome)(failing(on(0, PermanentError("broken"))))

    assert values(await handler([record()]), "outcomes") == [b"broken"]


async def test_what_follows_the_acknowledgement_of_good_neighbours_is_kept() -> None:
    ran: list[int] = []

    async def handle(records: Sequence[Record]) -> Outputs:
        if any(each.offset == 1 for each in records):
            raise PermanentError("poison")

        async def tidy() -> None:
            ran.extend(each.offset for each in records)

        return Outputs((), tidy)

    outputs = await dead_letter(group="g")(handle)([record(0), record(1), record(2)])
    assert outputs.after_ack is not None
    await outputs.after_ack()

    assert ran == [0, 2]


async def test_too_many_dead_letters_stop_the_consumer() -> None:
    handler = dead_letter(group="g")(failing(lambda _: PermanentError("bad deployment")))

    with pytest.raises(DeadLetterLimit, match="20 of the last 20"):
        await handler([record(n) for n in range(100)])


@pytest.mark.parametrize(
    ("topic", "error"),
    [("ai.public.requests.demo.v1", PermanentError("broken")), ("ai.internal.x.v1", MalformedInput("broken"))],
)
async def test_tenants_broken_input_never_stops_the_consumer(topic: str, error: PermanentError) -> None:
    handler = dead_letter(group="g")(failing(lambda _: error))

    outputs = await handler([record(n, topic=topic) for n in range(100)])

    assert len(outputs.messages) == 100


@given(st.lists(st.booleans(), max_size=3000))
def test_limit_is_one_percent_of_the_last_thousand_and_twenty_at_least(dead: list[bool]) -> None:
    recent = RecentDeadLetters()

    for n, is_dead in enumerate(dead):
        window = dead[max(0, n - 999) : n + 1]
        if is_dead:
            assert recent.failed() == (sum(window) >= 20 and sum(window) > 0.01 * len(window))
        else:
            recent.passed(1)


# Metrics


async def test_batch_is_measured_with_the_class_of_its_error() -> None:
    numbers = Numbers()

    with pytest.raises(PermanentError):
        await metered(group="g", metrics=numbers)(failing(on(1, PermanentError("x"))))([record(0), record(1)])

    assert ("messaging.batch.records", 2, {"group": "g"}) in numbers.seen
    assert any(labels.get("error") == "PermanentError" for _, _, labels in numbers.seen)


# Traces

TRACE = "0af7651916cd43dd8448eb211c80319c"
SAMPLED = f"00-{TRACE}-b7ad6b7169203331-01".encode()
UNSAMPLED = b"00-11111111111111111111111111111111-2222222222222222-00"


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


def tracing(spans: InMemorySpanExporter, ratio: float) -> Middleware:
    provider = TracerProvider(sampler=ParentBasedTraceIdRatio(ratio), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return traced(group="router", tracer=provider.get_tracer("test"))


def parents(outputs: Outputs) -> list[bytes | None]:
    return [dict(message.headers).get("traceparent") for message in outputs.messages]


def is_sampled(traceparent: bytes | None) -> bool:
    assert traceparent is not None
    return bool(int(traceparent[-2:], 16) & 1)


async def test_batch_without_a_sampled_trace_makes_no_span_and_passes_contexts_on(spans: InMemorySpanExporter) -> None:
    handler = tracing(spans, 1.0)(failing(lambda _: None))

    outputs = await handler([record(0, ("traceparent", UNSAMPLED))])

    assert parents(outputs) == [UNSAMPLED]
    assert spans.get_finished_spans() == ()


async def test_sampled_trace_is_continued_by_one_span_that_links_the_others(spans: InMemorySpanExporter) -> None:
    other = SAMPLED.replace(b"0af", b"1af")
    handler = tracing(spans, 0.0)(failing(lambda _: None))

    outputs = await handler(
        [record(0, ("traceparent", SAMPLED)), record(1, ("traceparent", other)), record(2, ("traceparent", UNSAMPLED))]
    )

    (span,) = spans.get_finished_spans()
    context = span.get_span_context()
    assert context is not None
    here = f"00-{TRACE}-{context.span_id:016x}-01".encode()
    assert parents(outputs) == [here, here, UNSAMPLED]
    assert [f"{link.context.trace_id:032x}".encode() for link in span.links] == [other.split(b"-")[1]]


async def test_trace_begins_at_the_first_record_without_one(spans: InMemorySpanExporter) -> None:
    (parent,) = parents(await tracing(spans, 1.0)(failing(lambda _: None))([record()]))

    assert is_sampled(parent)


async def test_no_trace_begins_where_nobody_collects_it() -> None:
    handler = traced(group="router", tracer=trace.get_tracer("test"))(failing(lambda _: None))

    assert parents(await handler([record()])) == [None]
    assert parents(await handler([record(0, ("traceparent", SAMPLED))])) == [SAMPLED]


@pytest.mark.parametrize(
    "header", [b"", b"\xff", b"00-0-0-01", b"00-" + b"0" * 32 + b"-b7ad6b7169203331-01", b"x" * 9999]
)
async def test_broken_trace_context_is_no_trace_context(spans: InMemorySpanExporter, header: bytes) -> None:
    outputs = await tracing(spans, 0.0)(failing(lambda _: None))([record(0, ("traceparent", header))])

    (parent,) = parents(outputs)
    assert not is_sampled(parent)


async def test_context_that_an_output_brings_is_kept(spans: InMemorySpanExporter) -> None:
    async def handle(_: Sequence[Record]) -> Outputs:
        return Outputs([Message("out", b"", b"key-0", (("traceparent", UNSAMPLED),))])

    assert parents(await tracing(spans, 1.0)(handle)([record()])) == [UNSAMPLED]
