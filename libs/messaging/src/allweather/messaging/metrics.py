"""The metrics of messaging: a port, and every name with its meaning and what to do when it is high."""

from typing import Literal, Protocol

MetricName = Literal[
    # Counter {group}: records handed to handlers.
    "messaging.records",
    # Histogram {group}: records in a batch. Small under load: many partitions, or handlers too quick to matter.
    "messaging.batch.records",
    # Histogram {group}: seconds in the handler for one batch. High: look at the service's database and calls.
    "messaging.handle.seconds",
    # Histogram {group}: seconds until all outputs of a batch are acknowledged. High: the broker is slow or away.
    "messaging.publish.seconds",
    # Counter {lane}: publishes without acknowledgement in time. Not zero: a broker is away, or a leader missing.
    "messaging.publish.timeouts",
    # Counter {lane}: producers thrown away and made anew. Not zero: after a broker was away; steady: look at its log.
    "messaging.producers.rebuilt",
    # Counter {group}: commits. The price of a low latency of redelivery.
    "messaging.commits",
    # Counter {group}: commits that came too late, after a rebalance. Each means some records are handled twice.
    "messaging.commits.refused",
    # Counter {group}: assignments received. Many: members come and go; look for restarts.
    "messaging.rebalances",
    # Counter {group}: memberships given up and joined anew. Steady: the coordinator is in trouble.
    "messaging.memberships.lost",
    # Counter {group}: waits because a dependency was away. Not zero: find which, the log names it.
    "messaging.retries",
    # Counter {topic}: records sent to the dead letters. Read `dlq-reason` of the newest; redrive after the fix.
    "messaging.dead_letters",
    # Counter {topic}: public messages given up and dead-lettered. The tenant's topic does not take records.
    "messaging.undeliverable",
    # Gauge {group}: records being handled. At the window for long: the vendor is slow, or the window too small.
    "messaging.in_flight",
    # Gauge {group, topic, partition}: records not finished. Grows on all partitions: add replicas. On one: it hangs.
    "messaging.lag",
    # Counter {group}: redelivered records that were already finished. Only after a crash or a rebalance.
    "messaging.redeliveries.skipped",
    # Counter {group}: `after_ack` calls that failed for a dependency. What they tidy stays untidy until it expires.
    "messaging.after_ack.failures",
]


class Metrics(Protocol):
    """Where numbers go. Calls are cheap, never block and never raise."""

    def count(self, name: MetricName, value: float = 1, /, **labels: str) -> None: ...

    def observe(self, name: MetricName, value: float, /, **labels: str) -> None: ...

    def gauge(self, name: MetricName, value: float, /, **labels: str) -> None: ...


class NoMetrics:
    """Numbers nobody asked for."""

    def count(self, name: MetricName, value: float = 1, /, **labels: str) -> None:
        """Forget it."""

    def observe(self, name: MetricName, value: float, /, **labels: str) -> None:
        """Forget it."""

    def gauge(self, name: MetricName, value: float, /, **labels: str) -> None:
        """Forget it."""
