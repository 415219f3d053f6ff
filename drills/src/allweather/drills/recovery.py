"""The checker of promise P10: what the end of an outage came to, and which bars it missed. Pure, like `checker`.

It needs more than evidence: when the vendors failed, when they recovered, and how many calls each deployment may have.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from allweather.drills.checker import Violation
from allweather.drills.evidence import Evidence, Judged
from allweather.drills.summary import percentile

PUSHED_BACK: Final = 0.05
"""Fewer of the calls after recovery may be answered with 429."""
FAIRNESS: Final = 0.95
"""Jain's index of what the tenants are given, at least, while each of them has a backlog."""
FAIR_OVER: Final = 100
"""Requests over which fairness is judged: over fewer, chance decides."""
LAST: Final = 0.05
"""The last part of a tenant's backlog is not judged: of several routers each is fair among what it holds, and one of
them is through with the tenant before the others are."""
BULK_EARLY: Final = 0.05
"""Of the bulk backlog, at most so much goes before the interactive one has gone, a twentieth of stragglers apart."""
FRESH_TIMES: Final = 2.0
"""Fresh interactive requests take at most so many times as long as before the outage (95th percentile)."""
DRAIN_TIMES, DRAIN_GRACE_S = 1.3, 120.0
"""How much longer than at full pace the backlog may take, and what finding the vendors well and slow start may cost."""
BEHIND_MS: Final = 2_000
"""For so long after a deployment was found well, another router may not know it yet."""
RAMPED: Final = 0.25
"""Of the slow start: before it there may be less than fresh requests need, whoever comes first."""
_INTERACTIVE: Final = "interactive"


@dataclass(frozen=True, slots=True)
class Outage:
    """When the vendors failed, in milliseconds since the epoch, and what they may be asked."""

    calm_ms: int
    """From here until it began, everything was as usual."""
    began_ms: int
    ended_ms: int
    limits: Mapping[str, int]
    """Deployment -> how many calls it may have at a time, over all workers."""
    slow_start_ms: int = 120_000
    """For how long after it is found well a deployment is given less than its limit."""
    released_share: float = 0.5
    """How much of the limits is for requests that were parked."""


@dataclass(frozen=True, slots=True)
class Waited:
    """A request as its owner experienced it."""

    request_id: UUID
    tenant: str
    priority: str
    accepted_ms: int
    settled_ms: int

    @property
    def took_ms(self) -> int:
        return self.settled_ms - self.accepted_ms


@dataclass(frozen=True, slots=True)
class Recovery:
    """How the system came back."""

    backlog: int
    """Requests that were parked in the outage and settled after it."""
    drained_s: float
    """From the end of the outage until the last of them was settled."""
    at_full_pace_s: float
    """How long they take when their share of the limits is always used, by the length of calls before the outage."""
    most_calls: Mapping[str, int]
    """Deployment -> the most calls that it had at one time."""
    pushed_back: float
    """The share of the calls after recovery that were answered with 429."""
    found_well_s: Mapping[str, float]
    """Deployment -> how long after the end of the outage it was found well."""
    reopened: Sequence[Judged]
    """Deployments that were found well after recovery, and then not."""
    calm_p95_ms: float
    fresh_p95_ms: float
    """Of interactive requests that came while the backlog drained, after the first quarter of the slow start."""
    early_p95_ms: float
    """Of those that came in that quarter."""
    fairness: float
    bulk_early: float

    @property
    def most_s(self) -> float:
        """How long the backlog may take."""
        return self.at_full_pace_s * DRAIN_TIMES + DRAIN_GRACE_S


def check_recovery(e: Evidence, outage: Outage) -> list[Violation]:
    """Every breach of P10 that the evidence shows; empty when it was kept."""
    return [Violation("P10", None, what) for what in breaches(recovery(e, outage), outage)]


def recovery(e: Evidence, outage: Outage) -> Recovery:
    """The figures that P10 is about."""
    waited = list(_waited(e))
    released = [w for w in waited if w.request_id in e.parked and w.settled_ms >= outage.ended_ms]
    backlog = [w for w in released if _in_backlog(w, outage)]
    drained_ms = max((w.settled_ms for w in backlog), default=outage.ended_ms)
    interactive = [w for w in waited if w.priority == _INTERACTIVE]
    well_ms = _well_ms(e, outage)
    ramped_ms = max(well_ms.values(), default=outage.ended_ms) + round(RAMPED * outage.slow_start_ms)
    return Recovery(
        backlog=len(backlog),
        drained_s=(drained_ms - outage.ended_ms) / 1000,
        at_full_pace_s=len(backlog) / _pace(e, outage),
        most_calls=_most_calls(e),
        pushed_back=_pushed_back(e, outage),
        found_well_s={deployment: (at_ms - outage.ended_ms) / 1000 for deployment, at_ms in well_ms.items()},
        reopened=tuple(_reopened(e, outage)),
        calm_p95_ms=_p95(interactive, outage.calm_ms, outage.began_ms),
        fresh_p95_ms=_p95(interactive, ramped_ms, drained_ms),
        early_p95_ms=_p95(interactive, min(well_ms.values(), default=outage.ended_ms), ramped_ms),
        fairness=min((share for each in _by_class(released) for share in _fairness(each, outage)), default=1.0),
        bulk_early=_bulk_early(backlog),
    )


def breaches(seen: Recovery, outage: Outage) -> Iterator[str]:
    """What in these figures breaks P10, in sentences."""
    if seen.drained_s > seen.most_s:
        yield f"the backlog of {seen.backlog} took {seen.drained_s:.0f} s, {seen.most_s:.0f} s is the bar"
    for deployment, calls in seen.most_calls.items():
        if calls > outage.limits[deployment]:
            yield f"{deployment} had {calls} calls at a time, its limit is {outage.limits[deployment]}"
    if seen.pushed_back >= PUSHED_BACK:
        yield f"{seen.pushed_back:.1%} of the calls after recovery were answered with 429, {PUSHED_BACK:.0%} is the bar"
    for judged in seen.reopened:
        yield f"{judged.deployment} was found well after recovery, and {judged.state} later"
    if not 0 < seen.fresh_p95_ms <= FRESH_TIMES * seen.calm_p95_ms:
        yield f"fresh requests took {seen.fresh_p95_ms:.0f} ms (p95), {seen.calm_p95_ms:.0f} ms before the outage"
    if seen.fairness < FAIRNESS:
        yield f"tenants were served unequally: Jain's index fell to {seen.fairness:.3f}, {FAIRNESS} is the bar"
    if seen.bulk_early > BULK_EARLY:
        yield f"{seen.bulk_early:.1%} of the bulk backlog went before the interactive one had gone"


def _waited(e: Evidence) -> Iterator[Waited]:
    settled = {outcome.request_id: outcome.settled_at_ms for outcome in e.outcomes}
    first = {c.request_id: c for c in sorted(e.cleared, key=lambda c: c.at, reverse=True)}
    for request, cleared in first.items():
        if request in settled:
            yield Waited(request, cleared.tenant, cleared.priority, cleared.accepted_at_ms, settled[request])


def _in_backlog(waited: Waited, outage: Outage) -> bool:
    return outage.began_ms <= waited.accepted_ms < outage.ended_ms <= waited.settled_ms


def _pace(e: Evidence, outage: Outage) -> float:
    """Parked requests a second that the limits come to."""
    calm = (call for call in e.calls if outage.calm_ms <= call.at_ms < outage.began_ms)
    lengths = [call.ended_at_ms - call.at_ms for call in calm if call.ended_at_ms is not None]
    mean_s = sum(lengths) / max(1, len(lengths)) / 1000
    return sum(outage.limits.values()) * outage.released_share / max(mean_s, 0.001)


def _most_calls(e: Evidence) -> dict[str, int]:
    """What a vendor's log shows: a call that it never ended lasts for ever."""
    deployments = {d.attempt_id: d.deployment for d in e.dispatched}
    changes: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
    for call in e.calls:
        deployment = deployments.get(call.attempt_id) if call.attempt_id else None
        if deployment is None:
            continue  # a breach of P4, reported there
        ended = float("inf") if call.ended_at_ms is None else call.ended_at_ms
        changes[deployment] += [(call.at_ms, 1), (ended, -1)]
    return {deployment: _highest(sorted(each)) for deployment, each in changes.items()}


def _highest(changes: Iterable[tuple[float, int]]) -> int:
    now = most = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most


def _pushed_back(e: Evidence, outage: Outage) -> float:
    after = [call for call in e.calls if call.at_ms >= outage.ended_ms]
    return sum(call.status == 429 for call in after) / max(1, len(after))


def _reopened(e: Evidence, outage: Outage) -> Iterator[Judged]:
    """The first time that each deployment is not closed any more after it was.

    Every router decides by its own view of health, and learns up to a second later what another one has seen: right
    after the first has found a deployment well, the others do not know it yet. One that is ill again stays so for
    longer than that.
    """
    well_ms: dict[str, int] = {}
    told: set[str] = set()
    for judged in e.judged:
        if judged.at_ms < outage.ended_ms or judged.deployment in told:
            continue
        if judged.state == "closed":
            well_ms.setdefault(judged.deployment, judged.at_ms)
        elif judged.at_ms > well_ms.get(judged.deployment, judged.at_ms) + BEHIND_MS:
            told.add(judged.deployment)
            yield judged


def _well_ms(e: Evidence, outage: Outage) -> Mapping[str, int]:
    """When each deployment was found well: from then on, its slow start runs."""
    first: dict[str, int] = {}
    for judged in e.judged:
        if judged.state == "closed" and judged.at_ms >= outage.ended_ms:
            first.setdefault(judged.deployment, judged.at_ms)
    return first


def _p95(waited: Iterable[Waited], from_ms: int, until_ms: int) -> float:
    return percentile([w.took_ms for w in waited if from_ms <= w.accepted_ms < until_ms], 0.95)


def _by_class(released: Iterable[Waited]) -> Iterable[Sequence[Waited]]:
    classes: defaultdict[str, list[Waited]] = defaultdict(list)
    for each in released:
        classes[each.priority].append(each)
    return classes.values()


def _fairness(released: Sequence[Waited], outage: Outage) -> Iterator[float]:
    """Jain's index over each stretch of what left the queue, until a tenant's backlog of the class is nearly through.

    What was parked after recovery counts as served, too: where the newest go first, it goes before the backlog.
    """
    backlog = Counter(w.tenant for w in released if _in_backlog(w, outage))
    left, served = backlog.copy(), Counter(dict.fromkeys(backlog, 0))
    for each in sorted(released, key=lambda w: w.settled_ms):
        left[each.tenant] -= _in_backlog(each, outage)
        served[each.tenant] += 1
        if left[each.tenant] <= LAST * backlog[each.tenant]:
            return
        if served.total() >= FAIR_OVER:
            yield _jain(served.values())
            served = Counter(dict.fromkeys(backlog, 0))


def _jain(shares: Iterable[int]) -> float:
    """1 when all are equal, 1/n when one of n has everything."""
    values = list(shares)
    return sum(values) ** 2 / (len(values) * sum(v * v for v in values))


def _bulk_early(backlog: Sequence[Waited]) -> float:
    interactive = [w.settled_ms for w in backlog if w.priority == _INTERACTIVE]
    bulk = [w.settled_ms for w in backlog if w.priority != _INTERACTIVE]
    gone_ms = percentile(interactive, 0.95)
    return sum(settled < gone_ms for settled in bulk) / max(1, len(bulk))
