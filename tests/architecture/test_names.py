"""Names that two packages share without importing each other."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from allweather.messaging.metrics import MetricName, Metrics
from allweather.telemetry.messaging import COUNTERS, GAUGES, HISTOGRAMS, MessagingMetrics, prometheus_name

PORT = {"count": COUNTERS, "observe": HISTOGRAMS, "gauge": GAUGES}


def test_telemetry_stands_behind_the_port_of_messaging():
    port: Metrics = MessagingMetrics()

    for name in get_args(MetricName):
        if prometheus_name(name) in COUNTERS:
            port.count(name, 0, **dict.fromkeys(COUNTERS[prometheus_name(name)].labels, "test"))


def test_telemetry_has_an_instrument_for_every_metric_of_messaging():
    assert {prometheus_name(name) for name in get_args(MetricName)} == {*COUNTERS, *HISTOGRAMS, *GAUGES}


def test_messaging_gives_every_metric_the_labels_of_its_instrument(sources: list[Path]):
    used = [use for path in sources if "messaging" in path.parts for use in _uses(ast.parse(path.read_text()))]

    assert len({name for _, name, _ in used}) > 5
    for method, name, labels in used:
        assert set(PORT[method][prometheus_name(name)].labels) == labels, f"{name} by {method}"


def _uses(module: ast.Module) -> Iterator[tuple[str, str, set[str]]]:
    """Each call of the port: its method, the metric's name, the labels given."""
    for node in ast.walk(module):
        match node:
            case ast.Call(func=ast.Attribute(attr=method), args=[ast.Constant(value=str(name)), *_]) if (
                method in PORT and name.startswith("messaging.")
            ):
                yield method, name, {keyword.arg for keyword in node.keywords if keyword.arg}
            case _:
                pass
