"""Processes that stand still and go on: zombies to all others."""

from collections.abc import Mapping

import httpx
from lab.lab import Lab
from lab.scenario import Scenario

from allweather.drills.journal import now_ms

_PAUSE_S = 90.0
_STALL_S = 20.0
_STALLS: Mapping[str, str] = {
    "policy": "policy.before-publish",
    "router": "router.before-publish",
    "provider-worker.anthropic": "worker.before-call",
    "audit-sink": "audit.before-commit",
}
"""Where each service's event loop stands still: in the middle of its work."""
_TURN = 40
_REBALANCES = "messaging_rebalances_total"


async def worker_paused(lab: Lab) -> None:
    """A worker misses everything for a minute and a half, and then goes on with the calls that it held."""
    worker = "provider-worker.anthropic"
    await lab.hold(3)
    seconds, began = lab.seconds(_PAUSE_S, 40.0), now_ms()
    lab.say(f"SIGSTOP {worker} for {seconds:g} s")
    lab.stage.worker_crashes += 1  # its calls may be taken over, which is what its crash would allow
    await lab.paused(worker, seconds)
    lab.figures.within("takeover_s", await lab.takeover(now_ms()), 30.0)
    lab.figures.note("settled_meanwhile_s", (now_ms() - began) / 1000)


async def loop_stalled(lab: Lab) -> None:
    """An event loop does nothing for longer than a session lasts: one rebalance, and nothing is lost."""
    for name, failpoint in _STALLS.items():
        await _stalled(lab, name, f"{failpoint}=block:{_STALL_S:g}@{_TURN}")


async def _stalled(lab: Lab, name: str, failpoint: str) -> None:
    lab.services.amend(name, ALLWEATHER_FAILPOINTS=failpoint)
    await lab.services.restart(name)
    lab.services.amend(name, ALLWEATHER_FAILPOINTS="")
    lab.stage.worker_crashes += name.startswith("provider-worker.")
    before = await _rebalances(lab, name)
    lab.say(f"{name}: its event loop stands still for {_STALL_S:g} s")
    await lab.hold(_STALL_S + 10)
    took = await lab.takeover(now_ms())
    lab.figures.at_most(f"rebalances_of_{name}", await _rebalances(lab, name) - before, 1)
    lab.figures.within(f"takeover_s_of_{name}", took, 20.0)


async def _rebalances(lab: Lab, name: str) -> float:
    """From the service's own metrics."""
    probe = lab.services.snapshot()[name]["probe"].replace("/readyz", "/metrics")
    async with httpx.AsyncClient(timeout=30, trust_env=False) as http:
        page = (await http.get(probe)).text
    return sum(float(line.rsplit(" ", 1)[1]) for line in page.splitlines() if line.startswith(_REBALANCES))


SCENARIOS = (
    Scenario("worker-paused", "a worker is stopped for 90 s and goes on", worker_paused),
    Scenario("loop-stalled", "event loops stand still for 20 s, service by service", loop_stalled),
)
