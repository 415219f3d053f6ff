"""What a log line holds, and above all what it never does."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from pydantic import BaseModel, ValidationError

from allweather.telemetry import logs
from allweather.telemetry.logs import configure_logs
from allweather.telemetry.redaction import HIDDEN, scrubbed

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """The lines logged so far, by a process whose logs are set up at level info."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logs("info", stream=stream, service="router", instance=3)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.captureWarnings(False)
    logging.basicConfig(handlers=handlers, level=level, force=True)


def test_a_line_says_when_who_and_what(lines: Lines):
    logging.getLogger("allweather.router.app").info(
        "request parked", extra={"tenant": "demo", "reason": "no candidate"}
    )

    [line] = lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "service": "router",
        "instance": 3,
        "level": "info",
        "logger": "allweather.router.app",
        "event": "request parked",
        "tenant": "demo",
        "reason": "no candidate",
    }


def test_libraries_that_use_logging_write_the_same_lines(lines: Lines):
    logging.getLogger("some.library").warning("lost %s of %s", 1, 3, extra={"topic": "ai.internal.results.v1"})

    [line] = lines()
    assert line["event"] == "lost 1 of 3"
    assert (line["service"], line["topic"]) == ("router", "ai.internal.results.v1")


def test_a_library_that_repeats_itself_is_told_once_and_counted(lines: Lines, monkeypatch: pytest.MonkeyPatch):
    library = logging.getLogger("aiokafka.client")
    for number in range(100):
        library.error("Unable connect to node with id %s", number)
    library.error("another matter")

    monkeypatch.setattr(logs, "QUIET_S", 0.0)
    library.error("Unable connect to node with id %s", 100)

    told = [(line["event"], line.get("count")) for line in lines()]
    assert told == [
        ("Unable connect to node with id 0", None),
        ("another matter", None),
        ("Unable connect to node with id 100", 99),
    ]


def test_what_we_say_ourselves_is_always_told(lines: Lines):
    for _ in range(3):
        logging.getLogger("allweather.router").warning("release waits")

    assert len(lines()) == 3


def test_lines_below_the_level_are_not_written(lines: Lines):
    logging.getLogger("x").debug("details")
    logging.getLogger("aiokafka.consumer").info("chatter of a library")

    assert lines() == []


def test_a_line_inside_a_span_names_its_trace(lines: Lines):
    provider = TracerProvider(shutdown_on_exit=False)
    with provider.get_tracer("x").start_as_current_span("process") as span:
        logging.getLogger("x").info("handled")

    [line] = lines()
    assert line["trace_id"] == trace.format_trace_id(span.get_span_context().trace_id)
    assert line["span_id"] == trace.format_span_id(span.get_span_context().span_id)


def test_a_field_that_is_not_on_the_list_is_hidden_whoever_logs_it(lines: Lines):
    logging.getLogger("x").info("called", extra={"body": "my illness", "vendor": "openai"})

    [line] = lines()
    assert (line["body"], line["vendor"]) == (HIDDEN, "openai")


def test_an_error_is_reported_by_type_and_place_but_its_words_may_quote_a_request(lines: Lines):
    class Body(BaseModel):
        model: int

    try:
        Body.model_validate({"model": "my illness"})
    except ValidationError:
        logging.getLogger("x").exception("refused")

    [line] = lines()
    assert line["exception"]["type"].endswith("ValidationError")
    assert line["exception"]["message"] == HIDDEN
    assert any("test_logs.py" in place for place in line["exception"]["where"])
    assert "illness" not in json.dumps(line)


def test_errors_of_the_network_say_their_message_and_their_causes(lines: Lines):
    try:
        try:
            raise ValueError("my illness")
        except ValueError as cause:
            raise ConnectionRefusedError("127.0.0.1:9092 refused") from cause
    except OSError:
        logging.getLogger("x").exception("away")

    [line] = lines()
    assert line["exception"]["message"] == "127.0.0.1:9092 refused"
    assert line["exception"]["causes"][0]["type"] == "ValueError"
    assert "illness" not in json.dumps(line)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://app:pa55@db:5432/x", f"postgresql://app:{HIDDEN}@db:5432/x"),
        ("redis://:pa55@cache:6379/0", f"redis://:{HIDDEN}@cache:6379/0"),
        ("Authorization: Bearer eyJhbGciOi.eyJzdWIi.c2ln", f"Authorization: Bearer {HIDDEN}"),
        ("key sk-ant-api03-AbC_d refused", f"key {HIDDEN} refused"),
        ("api_key=AbCdEf123&v=1", f"api_key={HIDDEN}&v=1"),
        ("x-api-key: AbCdEf123", f"x-api-key: {HIDDEN}"),
        ('{"password": "pa55"}', f'{{"password": "{HIDDEN}"}}'),
        ("https://host:8080/path?x=1 is not reachable", "https://host:8080/path?x=1 is not reachable"),
        ("task-based risk-assessment of 12 tokens", "task-based risk-assessment of 12 tokens"),
    ],
)
def test_a_text_is_written_without_what_looks_like_a_secret(text: str, expected: str):
    assert scrubbed(text) == expected
