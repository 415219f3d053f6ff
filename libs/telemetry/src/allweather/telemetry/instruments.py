"""Counters, gauges and histograms that are defined once, typed by their labels, and created when first used.

class Door(NamedTuple):
    door: str
    tenant: str

ACCEPTED = Counter("allweather_requests_accepted", Door, means="...", when_high="...")
ACCEPTED.inc(Door("http", "demo"), 3)
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import prometheus_client
from prometheus_client.metrics import MetricWrapperBase

MAX_VALUES = 100
"""Different values that one label may take in a process; later ones are counted as `other`, so that no tenant, model or
topic can fill the memory of this process or of Prometheus."""

OTHER = "other"

L = TypeVar("L", bound=tuple[Any, ...])
M = TypeVar("M", bound=MetricWrapperBase)


class Unlabelled(NamedTuple):
    """The labels of a metric that has none."""


NONE = Unlabelled()


class Instrument(Generic[L, M]):
    """A metric: its name, its labels (a NamedTuple), what it means, and what to do when it is high."""

    kind: ClassVar[str]

    def __init__(self, name: str, labels: type[L], *, means: str, when_high: str) -> None:
        self.name = name
        self.series = labels
        self.labels: tuple[str, ...] = getattr(labels, "_fields", ())
        self.means = means
        self.when_high = when_high
        self._metric: M | None = None
        self._children: dict[L, M] = {}
        self._seen: tuple[set[str], ...] = tuple(set() for _ in self.labels)

    def _create(self, help_text: str) -> M:
        raise NotImplementedError

    def child(self, labels: L) -> M:
        """The time series of `labels`; a hot loop may keep it."""
        known = self._children.get(labels)
        return known if known is not None else self._added(labels)

    def _added(self, labels: L) -> M:
        if self._metric is None:
            self._metric = self._create(f"{self.means} {self.when_high}")
        if not self.labels:
            self._children[labels] = self._metric
            return self._metric
        values = tuple(str(value) for value in labels)
        bounded = tuple(_bounded(value, seen) for value, seen in zip(values, self._seen, strict=True))
        child = self._metric.labels(*bounded)
        if bounded == values:
            self._children[labels] = child
        return child


class Counter(Instrument[L, prometheus_client.Counter]):
    """Only grows; Prometheus sees it as `<name>_total`."""

    kind = "counter"

    def _create(self, help_text: str) -> prometheus_client.Counter:
        return prometheus_client.Counter(self.name, help_text, self.labels)

    def inc(self, labels: L, amount: float = 1) -> None:
        self.child(labels).inc(amount)

    def hook(self, labels: L) -> Callable[[], None]:
        """A call that counts one, for those who may not know of metrics."""
        return lambda: self.inc(labels)


class Gauge(Instrument[L, prometheus_client.Gauge]):
    """How much there is now."""

    kind = "gauge"

    def _create(self, help_text: str) -> prometheus_client.Gauge:
        return prometheus_client.Gauge(self.name, help_text, self.labels)

    def set(self, labels: L, value: float) -> None:
        self.child(labels).set(value)

    def follow(self, labels: L, value: Callable[[], float]) -> None:
        """Ask `value` at each scrape."""
        self.child(labels).set_function(value)

    def forget(self, labels: L) -> None:
        """Stop reporting the series of `labels`, such as a partition that has gone to another replica."""
        if self._children.pop(labels, None) is not None and self._metric is not None and self.labels:
            self._metric.remove(*labels)


class Histogram(Instrument[L, prometheus_client.Histogram]):
    """How values are spread over `buckets`."""

    kind = "histogram"

    def __init__(self, name: str, labels: type[L], *, buckets: Sequence[float], means: str, when_high: str) -> None:
        super().__init__(name, labels, means=means, when_high=when_high)
        self.buckets = tuple(buckets)

    def _create(self, help_text: str) -> prometheus_client.Histogram:
        return prometheus_client.Histogram(self.name, help_text, self.labels, buckets=self.buckets)

    def observe(self, labels: L, value: float) -> None:
        self.child(labels).observe(value)


def _bounded(value: str, seen: set[str]) -> str:
    if value not in seen:
        if len(seen) >= MAX_VALUES:
            return OTHER
        seen.add(value)
    return value
