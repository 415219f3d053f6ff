"""One trial of a scenario: open the lab, let it happen under load, wait until all is settled, prove every promise."""

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from time import monotonic
from typing import Final

from lab.findings import write_findings
from lab.lab import Lab, Say
from lab.opened import STATE, opened
from lab.report import Result, commit, told
from lab.scenario import Scenario

from allweather.drills.checker import check
from allweather.drills.evidence import Evidence
from allweather.drills.story import verify_audit
from allweather.drills.summary import Summary, summarise

_FIRST_OUTCOMES: Final = 20
_CLIENTS_WITHIN_S: Final = 60.0


async def tried(scenario: Scenario, seed: int, *, thorough: bool, say: Say) -> Result:
    """What came of it. The state folder of a trial that failed is kept. Raises `StackError`."""
    began, at, tree = monotonic(), datetime.now(UTC).isoformat(timespec="seconds"), commit()
    async with opened(scenario, seed, thorough=thorough, say=say) as lab:
        async with _loaded(lab):
            await scenario.run(lab)
            say("no more requests: waiting until everything is settled")
        summary, evidence = await _proven(lab)
        _note(lab, summary, evidence)
        failed = bool(lab.figures.missed or summary.violations)
        if failed:
            write_findings(STATE / scenario.name / "findings", evidence, summary.violations)
    if not failed:
        await asyncio.to_thread(shutil.rmtree, STATE / scenario.name, ignore_errors=True)
    return Result(
        scenario=scenario.name,
        what=scenario.what,
        at=at,
        commit=tree,
        seed=seed,
        thorough=thorough,
        seconds=round(monotonic() - began, 1),
        figures=lab.figures.values,
        bars=lab.figures.bars,
        missed=lab.figures.missed,
        violations=told(summary.violations),
    )


@asynccontextmanager
async def _loaded(lab: Lab) -> AsyncGenerator[None]:
    """The load runs from before the body begins until it has ended; then everything is settled, or too late."""
    stop = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as group:
            sending = [group.create_task(load.until(stop)) for load in lab.loads]
            asking = group.create_task(lab.door.ask_until(stop))
            try:
                await _first_outcomes(lab)
                yield
            finally:
                stop.set()
                await asyncio.gather(*sending, asking)
        await _settled(lab)
    finally:
        await asyncio.gather(*(load.close() for load in lab.loads))


async def _first_outcomes(lab: Lab) -> None:
    """Until the path has carried some requests from end to end."""
    lab.say("the load begins")
    async with asyncio.timeout(60):
        while await lab.stage.postgres.fetchval("SELECT count(*) FROM router.outcomes") < _FIRST_OUTCOMES:
            await asyncio.sleep(0.2)


async def _settled(lab: Lab) -> None:
    accepted = [s.request_id for s in lab.stage.journal.submissions.values() if s.state == "accepted"]
    await lab.until_settled(accepted, lab.conditions.settle_within_s)
    lab.figures.at_most("callers_still_waiting", await lab.callers_waiting(_CLIENTS_WITHIN_S), 0)
    lab.figures.note("caught_up_s", await lab.until_caught_up())


async def _proven(lab: Lab) -> tuple[Summary, Evidence]:
    lab.say("reading topics, tables, the vendors' log and the journals")
    evidence = await lab.stage.evidence()
    audit = await verify_audit(lab.stage)
    violations = [*check(evidence), *(violation for prove in lab.proofs for violation in prove(evidence))]
    return summarise(evidence, violations, lab.stage.journal.latencies_ms, audit), evidence


def _note(lab: Lab, summary: Summary, evidence: Evidence) -> None:
    figures = lab.figures
    figures.note("requests", summary.requests)
    figures.note("outcomes", summary.outcomes)
    figures.at_most("lost", summary.lost, 0)
    figures.at_most("conflicting_outcomes", summary.conflicting_outcomes, 0)
    figures.note("outcome_kinds", dict(Counter(outcome.kind for outcome in evidence.outcomes)))
    figures.note("failed_over", summary.failed_over)
    figures.note("parked", summary.parked)
    figures.note("replies_twice", summary.replies_twice)
    calls = Counter(call.attempt_id for call in evidence.calls)
    figures.note("vendor_calls_repeated", sum(count - 1 for count in calls.values()))
    figures.note("p50_ms", summary.p50_ms)
    figures.note("p99_ms", summary.p99_ms)
    figures.note("servers_away_s", lab.stage.away_ms / 1000)
    figures.require(f"the audit log verifies: {summary.audit}", kept=summary.audit == "verified")
