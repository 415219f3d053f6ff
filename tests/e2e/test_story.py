"""The main job: vendors fail one after another, services are killed, and every accepted request is answered once."""

from dataclasses import replace

from allweather.drills.acts import ACTS
from allweather.drills.screen import Screen
from allweather.drills.stage import Stage
from allweather.drills.story import tell

SHORT = tuple(replace(act, seconds=act.seconds * 0.4) for act in ACTS)
VICTIMS = ("policy", "router", "provider-worker.anthropic", "ingest", "audit-sink")


async def test_an_afternoon_of_outages_loses_nothing(on: Stage) -> None:
    with Screen() as screen:
        summary = await tell(on, screen, per_second=4, acts=SHORT, victims=VICTIMS)

    assert summary.violations == []
    assert summary.lost == 0
    assert summary.audit == "verified"
    assert summary.requests == summary.outcomes > 100
    assert summary.parked > 0
    assert summary.failed_over > 0
    assert len(summary.by_vendor) >= 3
