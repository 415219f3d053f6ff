"""What happened to a request, told from its entries alone, like an incident report. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Any

from allweather.audit_sink.telling import Told, duration, telling
from allweather.contracts import headers, ids
from allweather.contracts.model import iso_time
from allweather.contracts.records import EventType


@dataclass(frozen=True, slots=True)
class Step:
    """One entry, in words."""

    at_ms: int
    shard: int
    index: int
    what: str
    details: tuple[str, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        place = {"shard": self.shard, "index": self.index}
        return {"at": iso_time(self.at_ms), "what": self.what, "details": list(self.details), **place}


@dataclass(frozen=True, slots=True)
class Story:
    """A request from its acceptance to its outcome, causes before effects."""

    request_id: str
    tenant: str
    steps: tuple[Step, ...]
    outcome: str | None = None
    model: str | None = None
    deployment: str | None = None
    region: str | None = None
    cost_usd: str | None = None
    latency_ms: int | None = None

    @property
    def summary(self) -> str:
        """One sentence."""
        if self.outcome is None:
            return "no outcome yet"
        by = f" by {self.model or '?'} ({self.deployment})" if self.deployment else ""
        where = f" in {self.region}" if self.region else ""
        after = f" after {duration(self.latency_ms)}" if self.latency_ms is not None else ""
        cost = f", {self.cost_usd} USD" if self.cost_usd else ""
        return f"{self.outcome}{by}{where}{after}{cost}"

    def to_plain(self) -> dict[str, Any]:
        names = ("request_id", "tenant", "outcome", "model", "deployment", "region", "cost_usd", "latency_ms")
        return {**{name: getattr(self, name) for name in names}, "steps": [step.to_plain() for step in self.steps]}


def tell(entries: Iterable[Told]) -> Story:
    """The story of one request, of which there is at least one entry."""
    ordered = by_causation(entries)
    first = ordered[0]
    submitted = next((entry for entry in ordered if entry.get("type") == EventType.SUBMITTED), first)
    cleared = next((entry for entry in ordered if entry.get("type") == EventType.CLEARED), None)
    settled = next((entry for entry in ordered if entry.get("type") == EventType.SETTLED), None)
    said: Told = settled.get("headers", {}) if settled else {}
    return Story(
        request_id=first["request_id"],
        tenant=first.get("tenant", "?"),
        steps=tuple(_steps(ordered, door=_door(cleared))),
        outcome=said.get(headers.OUTCOME),
        model=said.get(headers.MODEL),
        deployment=said.get(headers.DEPLOYMENT),
        region=said.get(headers.PROCESSED_IN),
        cost_usd=said.get(headers.COST),
        latency_ms=settled["timestamp"] - submitted["timestamp"] if settled else None,
    )


def by_causation(entries: Iterable[Told]) -> list[Told]:
    """Causes before effects; what does not depend on each other by time, then by place."""
    queue = sorted(entries, key=_when)
    names: dict[str, int] = {}
    for number, entry in reversed(list(enumerate(queue))):
        names |= dict.fromkeys(_names(entry), number)
    effects: dict[int, list[int]] = {}
    free: list[int] = []
    for number, entry in enumerate(queue):
        cause = names.get(entry.get("causation") or "", number)
        (free if cause == number else effects.setdefault(cause, [])).append(number)
    heapify(free)
    ordered: list[int] = []
    while free:
        ordered.append(heappop(free))
        for effect in effects.get(ordered[-1], ()):
            heappush(free, effect)
    circular = sorted(set(range(len(queue))) - set(ordered))  # nothing of ours writes this; show it all the same
    return [queue[number] for number in (*ordered, *circular)]


def _when(entry: Told) -> tuple[int, int, int]:
    return entry["timestamp"], entry["shard"], entry["index"]


def _names(entry: Told) -> Iterable[str]:
    """The names under which a later record may call this one its cause: its event, or its place."""
    yield ids.position_key(entry["topic"], entry["partition"], entry["offset"])
    if entry.get("ce_id"):
        yield entry["ce_id"]


def _steps(ordered: Sequence[Told], *, door: str) -> Iterable[Step]:
    seen: set[tuple[str, str]] = set()
    for entry in ordered:
        what, details = telling(entry)
        if entry.get("type") == EventType.SUBMITTED:
            what = f"{what} at {door}"
        event = (entry["topic"], entry.get("ce_id") or str(entry["offset"]))
        if event in seen:
            what = f"again: {what}"
        seen.add(event)
        yield Step(entry["timestamp"], entry["shard"], entry["index"], what, tuple(details))


def _door(cleared: Told | None) -> str:
    if cleared is None:
        return "a door"
    door: str | None = cleared.get("slip", {}).get("reply", {}).get("door")
    return f"the HTTP door ({door})" if door else "the Kafka door"
