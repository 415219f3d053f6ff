"""The metrics of consumers and producers, and where `allweather.messaging` sends its numbers.

Messaging says `messaging.lag` with labels as keywords; here that is the instrument `messaging_lag`.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

from allweather.telemetry.instruments import Counter, Gauge, Histogram

K = TypeVar("K", bound="Counter[Any] | Histogram[Any] | Gauge[Any]")

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
BATCH_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500)


class Group(NamedTuple):
    group: str


class Handled(NamedTuple):
    group: str
    error: str
    """Class of the error that ended the handler, or empty."""


class Lane(NamedTuple):
    lane: str


class Topic(NamedTuple):
    topic: str


class GroupPartition(NamedTuple):
    group: str
    topic: str
    partition: str


RECORDS = Counter(
    "messaging_records",
    Group,
    means="Records handed to handlers.",
    when_high="The rate of work; compare with lag before adding replicas.",
)
BATCH_RECORDS = Histogram(
    "messaging_batch_records",
    Group,
    buckets=BATCH_SIZES,
    means="Records in one batch.",
    when_high="At 500 all the time: the service is behind, look at its lag. Small under load: too many partitions.",
)
HANDLE_SECONDS = Histogram(
    "messaging_handle_seconds",
    Handled,
    buckets=SECONDS,
    means="Time in the handler for one batch.",
    when_high="With lag: look at the service's database and calls, then profile it or add replicas.",
)
PUBLISH_SECONDS = Histogram(
    "messaging_publish_seconds",
    Group,
    buckets=SECONDS,
    means="Time until all outputs of a batch are acknowledged.",
    when_high="The broker is slow or away: look at its disk and its log.",
)
PUBLISH_TIMEOUTS = Counter(
    "messaging_publish_timeouts",
    Lane,
    means="Publishes that were not acknowledged in time.",
    when_high="Not zero: a broker is away, or a partition has no leader.",
)
PRODUCERS_REBUILT = Counter(
    "messaging_producers_rebuilt",
    Lane,
    means="Producers that were thrown away and made anew.",
    when_high="A few after a broker was away are normal; steady: look at the broker's log.",
)
COMMITS = Counter(
    "messaging_commits",
    Group,
    means="Commits of offsets to the group.",
    when_high="The price of little redelivery; more than some per second and replica is a wrong interval.",
)
COMMITS_REFUSED = Counter(
    "messaging_commits_refused",
    Group,
    means="Commits that came after a rebalance; their records are handled twice, harmlessly.",
    when_high="Steady: members come and go, or a handler outlasts the session.",
)
REBALANCES = Counter(
    "messaging_rebalances",
    Group,
    means="Assignments received.",
    when_high="Members come and go; look for restarts.",
)
MEMBERSHIPS_LOST = Counter(
    "messaging_memberships_lost",
    Group,
    means="Memberships that were given up and joined anew.",
    when_high="Steady: the group's coordinator is in trouble, look at the brokers.",
)
RETRIES = Counter(
    "messaging_retries",
    Group,
    means="Waits because a dependency was away.",
    when_high="Not zero: the log names the dependency; bring it back, nothing is lost meanwhile.",
)
DEAD_LETTERS = Counter(
    "messaging_dead_letters",
    Topic,
    means="Records that were put aside because they can never be handled.",
    when_high="Read `dlq-reason` of the newest. More than single ones: its producer or the last deploy is broken.",
)
UNDELIVERABLE = Counter(
    "messaging_undeliverable",
    Topic,
    means="Messages to a tenant's topic that were given up and dead-lettered.",
    when_high="The tenant's topic does not take records: it is missing, full, or too small for the reply.",
)
IN_FLIGHT = Gauge(
    "messaging_in_flight",
    Group,
    means="Records being handled now.",
    when_high="At the window for long: the vendor is slow, or the window too small.",
)
LAG = Gauge(
    "messaging_lag",
    GroupPartition,
    means="Records of a partition that the group has not finished.",
    when_high="Grows on all partitions: add replicas. On one: a record is stuck, or its owner hangs.",
)
REDELIVERIES_SKIPPED = Counter(
    "messaging_redeliveries_skipped",
    Group,
    means="Redelivered records that were already finished.",
    when_high="Normal after a crash or a rebalance; steady: look for restarts.",
)
AFTER_ACK_FAILURES = Counter(
    "messaging_after_ack_failures",
    Group,
    means="Tidying after an acknowledgement that failed for a dependency.",
    when_high="What stays untidy expires by itself; bring the dependency back.",
)


def _named(kind: type[K]) -> dict[str, K]:
    return {value.name: value for value in list(globals().values()) if isinstance(value, kind)}


COUNTERS: Mapping[str, Counter[Any]] = _named(Counter)
HISTOGRAMS: Mapping[str, Histogram[Any]] = _named(Histogram)
GAUGES: Mapping[str, Gauge[Any]] = _named(Gauge)


class MessagingMetrics:
    """Implements the `Metrics` port of `allweather.messaging`: cheap, and never blocking."""

    def count(self, name: str, value: float = 1, /, **labels: str) -> None:
        counter = COUNTERS[prometheus_name(name)]
        counter.inc(counter.series(**labels), value)

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        histogram = HISTOGRAMS[prometheus_name(name)]
        histogram.observe(histogram.series(**labels), value)

    def gauge(self, name: str, value: float, /, **labels: str) -> None:
        gauge = GAUGES[prometheus_name(name)]
        gauge.set(gauge.series(**labels), value)


def prometheus_name(name: str) -> str:
    """`messaging.batch.records` as Prometheus spells it."""
    return name.replace(".", "_")
