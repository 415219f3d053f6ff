"""A good recovery shows no breach of P10; each way to come back badly is found."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from allweather.contracts import ids
from allweather.drills.evidence import Cleared, Dispatched, Evidence, Judged, Outcome, Position, VendorCall
from allweather.drills.recovery import Outage, check_recovery, recovery

DEPLOYMENT = "anthropic/x"
CALM, BEGAN, ENDED = 0, 10_000, 100_000
OUTAGE = Outage(CALM, BEGAN, ENDED, limits={DEPLOYMENT: 4}, slow_start_ms=20_000)
AT = Position("ai.internal.x.v1", 0, 0)
BACKLOG = 300
EVERY_MS = 100
"""One call ends and the next one begins."""
DRAINED = ENDED + 2 * BACKLOG * EVERY_MS


def answered(
    n: int, accepted_ms: int, settled_ms: int, *, tenant: str = "a", priority: str = "interactive", parked: bool = False
) -> Evidence:
    """All that one answered request leaves behind, as far as P10 looks."""
    request = ids.request_id(tenant, f"{priority}-{n}-{accepted_ms}")
    attempt = ids.attempt_id(request, 1)
    begin = settled_ms - EVERY_MS
    return Evidence(
        cleared=(Cleared(request, AT, True, None, None, 10**9, tenant, priority, accepted_ms),),
        dispatched=(Dispatched(request, attempt, 1, AT, DEPLOYMENT, "anthropic", "eu", 1, begin),),
        calls=(VendorCall(attempt, "anthropic", begin, settled_ms, 200),),
        outcomes=(Outcome(request, tenant, "answered", "r", "hello", settled_ms),),
        parked={request: 1} if parked else {},
    )


def joined(pieces: Iterable[Evidence]) -> Evidence:
    """One run with the evidence of several."""
    whole = list(pieces)
    return Evidence(
        cleared=tuple(c for e in whole for c in e.cleared),
        dispatched=tuple(d for e in whole for d in e.dispatched),
        calls=tuple(c for e in whole for c in e.calls),
        judged=tuple(sorted(j for e in whole for j in e.judged)),
        outcomes=tuple(o for e in whole for o in e.outcomes),
        parked={request: count for e in whole for request, count in e.parked.items()},
    )


def backlog(
    tenant_of: Callable[[int], str] = lambda n: "ab"[n % 2], first: str = "interactive", then: str = "bulk"
) -> Evidence:
    """Two classes of parked requests, drained one after another, tenants by turns."""
    classes = [first] * BACKLOG + [then] * BACKLOG
    return joined(
        answered(n, BEGAN + n, ENDED + (n + 1) * EVERY_MS, tenant=tenant_of(n), priority=priority, parked=True)
        for n, priority in enumerate(classes)
    )


def fresh(took_ms: int = 150) -> Evidence:
    """Requests that came while the backlog drained."""
    return joined(answered(n, at, at + took_ms) for n, at in enumerate(range(ENDED, DRAINED, 1_000)))


BEFORE = joined(answered(n, at, at + EVERY_MS) for n, at in enumerate(range(CALM, BEGAN, 1_000)))
BREAKER = Evidence(
    judged=(
        Judged(BEGAN + 1_000, DEPLOYMENT, "open"),
        Judged(ENDED + 50, DEPLOYMENT, "half_open"),
        Judged(ENDED + 100, DEPLOYMENT, "closed"),
        Judged(DRAINED, DEPLOYMENT, "closed"),
    )
)
GOOD = joined((BEFORE, backlog(), fresh(), BREAKER))


def test_a_good_recovery_breaks_nothing() -> None:
    seen = recovery(GOOD, OUTAGE)

    assert check_recovery(GOOD, OUTAGE) == []
    assert (seen.backlog, seen.drained_s, seen.at_full_pace_s) == (2 * BACKLOG, 60.0, 30.0)
    assert (seen.calm_p95_ms, seen.fresh_p95_ms, seen.early_p95_ms) == (100, 150, 150)
    assert seen.found_well_s == {DEPLOYMENT: 0.1}
    assert seen.fairness > 0.99


def by_status(status: int, every: int) -> Evidence:
    """Each so many-th call after recovery was answered with that status."""
    after = [call for call in GOOD.calls if call.at_ms >= ENDED]
    struck = {call.attempt_id for call in after[::every]}
    calls = (replace(call, status=status) if call.attempt_id in struck else call for call in GOOD.calls)
    return replace(GOOD, calls=tuple(calls))


def stampede() -> Evidence:
    """Five requests at the same moment."""
    return joined(answered(n, DRAINED, DRAINED + EVERY_MS) for n in range(5))


@pytest.mark.parametrize(
    ("said", "evidence"),
    [
        pytest.param("calls at a time", joined((GOOD, stampede())), id="a stampede"),
        pytest.param(
            "calls at a time",
            replace(GOOD, calls=tuple(replace(call, ended_at_ms=None) for call in GOOD.calls)),
            id="calls that never end",
        ),
        pytest.param(
            "the backlog of 601 took",
            joined((GOOD, answered(2 * BACKLOG, BEGAN, DRAINED + 200_000, parked=True))),
            id="a straggler",
        ),
        pytest.param("answered with 429", by_status(429, every=10), id="too fast for the vendor"),
        pytest.param(
            "found well after recovery, and open later",
            joined((GOOD, Evidence(judged=(Judged(ENDED + 5_000, DEPLOYMENT, "open"),)))),
            id="down again",
        ),
        pytest.param("fresh requests took", joined((BEFORE, backlog(), fresh(1_000), BREAKER)), id="fresh starve"),
        pytest.param(
            "served unequally",
            joined((BEFORE, backlog(lambda n: "aaab"[n % 4]), fresh(), BREAKER)),
            id="one tenant three times as often",
        ),
        pytest.param(
            "bulk backlog went before",
            joined((BEFORE, backlog(first="bulk", then="interactive"), fresh(), BREAKER)),
            id="bulk first",
        ),
    ],
)
def test_a_bad_recovery_is_found(said: str, evidence: Evidence) -> None:
    (violation,) = check_recovery(evidence, OUTAGE)

    assert (violation.promise, said in violation.what) == ("P10", True), violation


def test_a_router_that_learns_a_moment_later_what_another_has_found_is_no_breach() -> None:
    behind = Evidence(judged=(Judged(ENDED + 1_000, DEPLOYMENT, "half_open"),))

    assert check_recovery(joined((GOOD, behind)), OUTAGE) == []


def test_a_few_429_are_how_a_limit_is_found() -> None:
    assert check_recovery(by_status(429, every=30), OUTAGE) == []


def test_what_a_breaker_did_in_the_outage_is_no_breach() -> None:
    flapped = Evidence(judged=(Judged(BEGAN + 500, DEPLOYMENT, "closed"), Judged(BEGAN + 600, DEPLOYMENT, "open")))

    assert check_recovery(joined((GOOD, flapped)), OUTAGE) == []


def test_a_tenant_without_a_backlog_is_owed_nothing() -> None:
    """The first third belongs to both tenants, the rest to the one that has more."""

    def tenant_of(n: int) -> str:
        return "ab"[n % 2] if n % BACKLOG < BACKLOG // 2 else "a"

    assert check_recovery(joined((BEFORE, backlog(tenant_of), fresh(), BREAKER)), OUTAGE) == []


def test_what_was_parked_after_recovery_is_part_of_a_tenants_share() -> None:
    """Tenant b has as much of it as tenant a has more of the backlog."""

    def tenant_of(n: int) -> str:
        return "aab"[n % 3]

    late = joined(answered(n, ENDED + 1, ENDED + 3 * n * EVERY_MS + 250, tenant="b", parked=True) for n in range(200))
    one_sided = joined((BEFORE, backlog(tenant_of, then="interactive"), fresh(), BREAKER))

    assert recovery(one_sided, OUTAGE).fairness < 0.95
    assert recovery(joined((one_sided, late)), OUTAGE).fairness > 0.95


def test_a_tenants_last_twentieth_is_not_judged() -> None:
    """Two routers are not through with a tenant at the same time."""

    def tenant_of(n: int, by_turns: int) -> str:
        return "ab"[n % 2] if n < by_turns else "ab"[n >= 4_100]

    def drained(by_turns: int) -> Evidence:
        return joined(
            answered(n, BEGAN, ENDED + (n + 1) * EVERY_MS, tenant=tenant_of(n, by_turns), parked=True)
            for n in range(4_200)
        )

    assert recovery(joined((BEFORE, drained(4_000), BREAKER)), OUTAGE).fairness > 0.95
    assert recovery(joined((BEFORE, drained(3_600), BREAKER)), OUTAGE).fairness < 0.95


def test_slow_start_is_judged_apart() -> None:
    """While a deployment is given a tenth of its limit, there may be less than fresh requests need."""
    early = joined(answered(n, at, at + 3_000) for n, at in enumerate(range(ENDED + 100, ENDED + 5_000, 500)))
    late = joined(answered(n, at, at + 150) for n, at in enumerate(range(ENDED + 6_000, DRAINED, 500)))
    slow = joined((BEFORE, backlog(), early, late, BREAKER))

    assert recovery(slow, OUTAGE).early_p95_ms == 3_000
    assert recovery(slow, OUTAGE).fresh_p95_ms == 150


def test_nothing_is_said_of_fresh_requests_where_there_were_none() -> None:
    (violation,) = check_recovery(joined((BEFORE, backlog(), BREAKER)), OUTAGE)

    assert "fresh requests took 0 ms" in violation.what


def test_requests_that_were_never_parked_are_no_backlog() -> None:
    assert recovery(replace(GOOD, parked={}), OUTAGE).backlog == 0
