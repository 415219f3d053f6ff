"""The figures at the end of a drill, computed from its evidence. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from allweather.drills.checker import Violation, unfinished
from allweather.drills.evidence import Evidence


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run came to."""

    requests: int
    outcomes: int
    lost: int
    conflicting_outcomes: int
    parked: int
    failed_over: int
    replies_twice: int
    by_vendor: Mapping[str, int]
    p50_ms: float
    p99_ms: float
    violations: Sequence[Violation]
    audit: str

    @property
    def kept(self) -> bool:
        """Whether every promise was kept."""
        return not self.violations and not self.lost and self.audit == "verified"

    def rows(self) -> dict[str, object]:
        """For the table that a person reads."""
        vendors = {f"  answered by {vendor}": count for vendor, count in sorted(self.by_vendor.items())}
        return {
            "requests accepted": self.requests,
            "outcomes": self.outcomes,
            **vendors,
            "failed over to another deployment": self.failed_over,
            "parked": self.parked,
            "replies delivered twice (identical)": self.replies_twice,
            "lost": self.lost,
            "latency of HTTP callers p50 / p99": f"{self.p50_ms / 1000:.2f} s / {self.p99_ms / 1000:.2f} s",
            "promises broken": len(self.violations),
            "audit log": self.audit,
        }

    def last_line(self) -> dict[str, Any]:
        """For the program that reads the last line."""
        return {
            "requests": self.requests,
            "outcomes": self.outcomes,
            "lost": self.lost,
            "conflicting_outcomes": self.conflicting_outcomes,
            "parked": self.parked,
            "failed_over": self.failed_over,
            "audit": self.audit,
        }


def summarise(e: Evidence, violations: Sequence[Violation], latencies_ms: Sequence[float], audit: str) -> Summary:
    """The figures of a run."""
    tried: dict[Any, set[str]] = {}
    for dispatch in e.dispatched:
        tried.setdefault(dispatch.request_id, set()).add(dispatch.deployment)
    winners = Counter(o.answered_by.partition("/")[0] for o in e.outcomes if o.answered_by)
    replies = Counter(r.request_id for r in e.replies if not r.conflict)
    accepted = set(e.submitted.values()) | {s.request_id for s in e.submissions if s.state == "accepted"}
    return Summary(
        requests=len(accepted),
        outcomes=len({o.request_id for o in e.outcomes}),
        lost=len(unfinished(e)),
        conflicting_outcomes=sum(v.promise == "P2" for v in violations),
        parked=len(e.parked),
        failed_over=sum(len(names) > 1 for names in tried.values()),
        replies_twice=sum(count > 1 for count in replies.values()),
        by_vendor=winners,
        p50_ms=percentile(latencies_ms, 0.50),
        p99_ms=percentile(latencies_ms, 0.99),
        violations=violations,
        audit=audit,
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile, 0 for no values."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))] if ranked else 0.0
