"""Every metric is defined once, documented, and bounded."""

import re
from typing import Any, NamedTuple

import prometheus_client
import pytest

from allweather.telemetry.catalogue import catalogue, reference
from allweather.telemetry.instruments import MAX_VALUES, NONE, OTHER, Counter, Gauge, Histogram, Instrument, Unlabelled
from allweather.telemetry.messaging import MessagingMetrics


class Who(NamedTuple):
    tenant: str
    kind: str


def sample(name: str, **labels: str) -> float | None:
    """What a scrape would show."""
    return prometheus_client.REGISTRY.get_sample_value(name, labels)


@pytest.mark.parametrize("metric", catalogue(), ids=lambda metric: metric.name)
def test_a_metric_says_what_it_means_and_what_to_do(metric: Instrument[Any, Any]):
    assert re.fullmatch(r"(allweather|messaging|gen_ai)_[a-z0-9_]+", metric.name)
    assert not metric.name.endswith("_total"), "Prometheus adds it to counters by itself"
    assert len(metric.means) > 20
    assert metric.means.endswith(".")
    assert len(metric.when_high) > 20
    assert metric.when_high.endswith(".")


def test_no_two_metrics_share_a_name():
    names = [metric.name for metric in catalogue()]

    assert len(names) == len(set(names))


def test_the_reference_names_every_metric():
    page = reference()

    assert all(f"`{metric.name}" in page for metric in catalogue())


def test_a_metric_does_not_exist_before_it_is_used():
    Counter("test_unused", Who, means="", when_high="")

    assert sample("test_unused_total", tenant="a", kind="b") is None


def test_a_counter_counts_by_its_labels():
    counter = Counter("test_counted", Who, means="", when_high="")

    counter.inc(Who("a", "x"))
    counter.inc(Who("a", "x"), 4)
    counter.inc(Who("b", "x"))

    assert sample("test_counted_total", tenant="a", kind="x") == 5
    assert sample("test_counted_total", tenant="b", kind="x") == 1


def test_a_metric_without_labels_needs_none():
    counter = Counter("test_unlabelled", Unlabelled, means="", when_high="")

    counter.inc(NONE)
    count_one = counter.hook(NONE)
    count_one()

    assert sample("test_unlabelled_total") == 2


def test_a_gauge_can_be_set_followed_and_forgotten():
    gauge = Gauge("test_gauge", Who, means="", when_high="")

    gauge.set(Who("a", "x"), 2)
    gauge.follow(Who("b", "x"), lambda: 7.0)
    assert (sample("test_gauge", tenant="a", kind="x"), sample("test_gauge", tenant="b", kind="x")) == (2, 7)

    gauge.forget(Who("a", "x"))
    assert sample("test_gauge", tenant="a", kind="x") is None


def test_a_histogram_has_the_buckets_of_its_definition():
    histogram = Histogram("test_spread", Who, buckets=(1, 10), means="", when_high="")

    histogram.observe(Who("a", "x"), 5)

    assert sample("test_spread_bucket", tenant="a", kind="x", le="1.0") == 0
    assert sample("test_spread_bucket", tenant="a", kind="x", le="10.0") == 1


def test_a_label_that_takes_too_many_values_counts_the_rest_as_other():
    counter = Counter("test_explosion", Who, means="", when_high="")

    for number in range(MAX_VALUES + 50):
        counter.inc(Who(f"tenant-{number}", "x"))
    counter.inc(Who("tenant-0", "x"))

    assert sample("test_explosion_total", tenant=OTHER, kind="x") == 50
    assert sample("test_explosion_total", tenant="tenant-0", kind="x") == 2


def test_messaging_sends_its_numbers_under_its_own_names():
    port = MessagingMetrics()

    port.count("messaging.memberships.lost", group="test")
    port.observe("messaging.publish.seconds", 0.3, group="test")
    port.gauge("messaging.lag", 12, group="test", topic="t", partition="3")

    assert sample("messaging_memberships_lost_total", group="test") == 1
    assert sample("messaging_publish_seconds_sum", group="test") == 0.3
    assert sample("messaging_lag", group="test", topic="t", partition="3") == 12
