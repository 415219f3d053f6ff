"""Processes of ours die on each line between two effects that matters."""

import asyncio

from lab.lab import Lab
from lab.scenario import Scenario

from allweather.drills.acts import NORMAL, NOTHING_WORKS
from allweather.drills.journal import now_ms
from allweather.failpoints.names import POINTS
from allweather.local.errors import StartFailed

_TAKEOVER_S = 20.0
_FEW = 4
_TURN = 20
_REACHED_WITHIN_S = 30.0
_PARKING_S = 4.0
_SERVICES = {
    "audit": "audit-sink",
    "ingest": "ingest",
    "policy": "policy",
    "release": "router",
    "router": "router",
    "worker": "provider-worker.anthropic",
}


async def every_line(lab: Lab) -> None:
    """One after another: run until the line is reached under load, die there, and let the successor take over."""
    points = sorted(point for point in POINTS if not point.startswith("batch."))  # these are in batches.py
    chosen = points if lab.thorough else lab.chance.sample(points, _FEW)
    took = {point: await _dies_at(lab, point) for point in chosen}
    lab.figures.note("takeover_s_by_line", took)
    lab.figures.within("takeover_s_max", max(took.values()), _TAKEOVER_S)


async def _dies_at(lab: Lab, point: str) -> float:
    name = _SERVICES[point.partition(".")[0]]
    turn = 1 if point.startswith("release.") else lab.chance.randint(1, _TURN)
    lab.say(f"{name} dies at {point}, turn {turn}")
    lab.services.amend(name, ALLWEATHER_FAILPOINTS=f"{point}=kill@{turn}")
    alive = await _restarted(lab, name)
    lab.services.amend(name, ALLWEATHER_FAILPOINTS="")
    lab.stage.worker_crashes += name.startswith("provider-worker.")
    if not alive:
        at = now_ms()
        await lab.services.resume(name)
        return await lab.takeover(at)
    armed = lab.services.pid(name)
    if point.startswith("release."):
        await _something_is_released(lab)
    lab.figures.require(f"{point} is reached under load", kept=await died(lab, name, armed))
    took = await lab.takeover(now_ms())
    await lab.services.until_ready(name)
    return took


async def _restarted(lab: Lab, name: str) -> bool:
    """False when it died on its line before it was ready."""
    try:
        await lab.services.restart(name)
    except StartFailed:
        return False
    return True


async def _something_is_released(lab: Lab) -> None:
    await lab.stage.simulator.put_faults(*NOTHING_WORKS)
    await lab.hold(_PARKING_S)
    await lab.stage.simulator.put_faults(*NORMAL)


async def died(lab: Lab, name: str, armed: int | None) -> bool:
    """Whether the process of that id dies in time."""
    try:
        async with asyncio.timeout(_REACHED_WITHIN_S):
            while lab.services.pid(name) == armed:
                await asyncio.sleep(0.05)
    except TimeoutError:
        return False
    return True


SCENARIOS = (Scenario("kill-points", "processes die on every line between two effects", every_line),)
