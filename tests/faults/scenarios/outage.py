"""Vendors are away: all of them."""

import asyncio
from dataclasses import fields
from functools import partial
from time import monotonic
from typing import Final
from uuid import UUID

from lab.lab import Lab
from lab.scenario import CONFIG, Conditions, Scenario
from lab.ways import either_class_through_either_door

from allweather.contracts.config import Deployment
from allweather.drills.acts import NORMAL
from allweather.drills.checker import Violation
from allweather.drills.evidence import Evidence
from allweather.drills.journal import now_ms
from allweather.drills.recovery import (
    BULK_EARLY,
    FAIRNESS,
    FRESH_TIMES,
    PUSHED_BACK,
    Outage,
    breaches,
    recovery,
)
from allweather.vendorsim.faults import AnyFault, RateLimit, Refuse

_CALM_S: Final = 30.0
_OUTAGE_S: Final = 600.0
_PER_SECOND: Final = 40.0
"""What a simulated vendor bears of one deployment: a third more than eight calls at a time come to."""
_WAIT_S: Final = 1_200.0
"""Longer than any backlog of these takes to be drained: how long it may take, the proof says."""
_WELL: Final[tuple[AnyFault, ...]] = (*NORMAL, RateLimit(requests_per_second=_PER_SECOND, retry_after=1))


async def all_vendors(lab: Lab) -> None:
    """Nobody answers for ten minutes; then everybody does, as far as they bear it."""
    await lab.stage.simulator.put_faults(*_WELL)
    calm = now_ms()
    await lab.hold(_CALM_S)
    seconds = lab.seconds(_OUTAGE_S, 30.0)
    lab.say(f"every vendor refuses connections for {seconds:g} s")
    began = now_ms()
    await lab.stage.simulator.put_faults(Refuse())
    await lab.hold(seconds)
    await lab.stage.simulator.put_faults(*_WELL)
    outage = Outage(calm, began, now_ms(), _limits(lab))
    lab.proofs.append(partial(_proven, lab, outage))
    await _drained(lab, outage)


async def _drained(lab: Lab, outage: Outage) -> None:
    """Wait until what was accepted in the outage is settled, while requests go on coming."""
    backlog = {
        s.request_id for s in lab.stage.journal.submissions.values() if outage.began_ms <= s.at_ms < outage.ended_ms
    }
    lab.say(f"vendors are back, {len(backlog)} requests wait")
    began, left = monotonic(), backlog
    while (left := await lab.stage.unsettled(left)) and monotonic() - began < _WAIT_S:
        await asyncio.sleep(1)
    lab.figures.require(f"all {len(backlog)} requests of the outage are settled", kept=not left)


def _limits(lab: Lab) -> dict[str, int]:
    """A worker keeps its limits by itself: so many workers, so many times the limit."""

    def workers(deployment: Deployment) -> int:
        return lab.conditions.replicas.get(f"provider-worker.{deployment.vendor}", 1)

    return {d.id: d.concurrency.max * workers(d) for d in lab.stage.configuration.deployments}


def _proven(lab: Lab, outage: Outage, evidence: Evidence) -> list[Violation]:
    seen, figures = recovery(evidence, outage), lab.figures
    figures.at_most("not_answered", len(_not_answered(evidence, outage)), 0)
    for figure in fields(seen):
        figures.note(figure.name, getattr(seen, figure.name))
    figures.bars |= {
        "drained_s": f"<= {seen.most_s:.0f}",
        "most_calls": f"<= {outage.limits}",
        "pushed_back": f"< {PUSHED_BACK}",
        "reopened": "none",
        "fresh_p95_ms": f"<= {FRESH_TIMES * seen.calm_p95_ms:.0f}",
        "fairness": f">= {FAIRNESS}",
        "bulk_early": f"<= {BULK_EARLY}",
    }
    return [Violation("P10", None, what) for what in breaches(seen, outage)]


def _not_answered(evidence: Evidence, outage: Outage) -> set[UUID]:
    """Requests of the outage that ended in another way, or in none."""
    accepted = {c.request_id for c in evidence.cleared if outage.began_ms <= c.accepted_at_ms < outage.ended_ms}
    return accepted - {o.request_id for o in evidence.outcomes if o.kind == "answered"}


SCENARIOS = (
    Scenario(
        "all-vendors-out",
        "no vendor answers for ten minutes, with three tenants and both classes",
        all_vendors,
        Conditions(
            config_dir=CONFIG / "three-tenants",
            replicas={"router": 2},
            tenants=("demo", "other", "third"),
            ways=either_class_through_either_door,
        ),
    ),
)
