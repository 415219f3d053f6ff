"""A whole process under telemetry, sending to a collector that listens on a real port."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PROGRAM = """
import sys
from types import SimpleNamespace
from opentelemetry import trace
from allweather.telemetry.process import observed
from allweather.telemetry.tracing import tracer

endpoint = sys.argv[1] if len(sys.argv) > 1 else None
settings = SimpleNamespace(instance=0, log_level="info", otlp_endpoint=endpoint, trace_ratio=1.0)
with observed("router", settings):
    with tracer("x").start_as_current_span("process router"):
        pass
print("opentelemetry.sdk.trace" in sys.modules)
"""


class Collector(HTTPServer):
    """Keeps what it is sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.received: list[tuple[str, ExportTraceServiceRequest]] = []


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Collector)
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.received.append((self.path, ExportTraceServiceRequest.FromString(body)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def run(*arguments: str) -> str:
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_a_span_reaches_the_collector_before_the_process_ends(collector: Collector):
    run(f"http://127.0.0.1:{collector.server_port}")

    [(path, request)] = collector.received
    [resource] = request.resource_spans
    names = {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}
    assert path == "/v1/traces"
    assert names["service.name"] == "router"
    assert [span.name for scope in resource.scope_spans for span in scope.spans] == ["process router"]


def test_without_a_collector_nothing_is_sent_and_the_sdk_is_not_even_loaded():
    assert run() == "False\n"
