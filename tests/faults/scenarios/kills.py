"""Processes of ours die."""

import asyncio
from functools import partial

from lab.lab import Lab
from lab.scenario import Conditions, Scenario

from allweather.drills.journal import now_ms

_KILLS = 10
_TAKEOVER_S = 20.0
_FLEET_S = 30.0
_BETWEEN_S = (0.5, 4.0)
_REPLICAS = {"ingest": 1, "policy": 2, "router": 2, "provider-worker.anthropic": 2, "audit-sink": 2}


async def one_service(name: str, lab: Lab) -> None:
    """SIGKILL at a random moment, restarted by its supervisor, again and again."""
    took = [await _killed(lab, lab.chance.choice(_named(lab, name))) for _ in range(lab.times(_KILLS))]
    lab.figures.note("kills", len(took))
    lab.figures.within("takeover_s_max", max(took), _TAKEOVER_S)
    lab.figures.note("takeover_s_mean", sum(took) / len(took))


async def one_replica(lab: Lab) -> None:
    """Of two replicas one dies for good: Kafka notices after the session timeout, and the other one takes over."""
    took: list[float] = []
    for name in ("policy", "router", "provider-worker.anthropic", "audit-sink"):
        took.append(await _killed(lab, name, revive=False))
        await lab.services.resume(name)
        await lab.hold(lab.chance.uniform(*_BETWEEN_S))
    lab.figures.within("takeover_s_max", max(took), _TAKEOVER_S)


async def whole_fleet(lab: Lab) -> None:
    """Every worker of the first vendor dies for good. Its records are handed back, and the request goes elsewhere."""
    took: list[float] = []
    for _ in range(lab.times(3)):
        took.append(await _killed(lab, "provider-worker.anthropic", revive=False))
        await lab.hold(lab.chance.uniform(*_BETWEEN_S))
        await lab.services.resume("provider-worker.anthropic")
        await lab.hold(5)
    lab.figures.within("takeover_s_max", max(took), _FLEET_S)


async def _killed(lab: Lab, name: str, *, revive: bool = True) -> float:
    """Seconds until everything that was sent before the kill is settled, and audited where that is its work."""
    await lab.hold(lab.chance.uniform(*_BETWEEN_S))
    lab.say(f"SIGKILL {name}")
    at = now_ms()
    await lab.kill(name, revive=revive)
    settled, audited = await asyncio.gather(
        lab.takeover(at), lab.until_caught_up("audit-sink") if "audit" in name else lab.hold(0)
    )
    if revive:
        await lab.services.until_ready(name)
    return max(settled, audited or 0.0)


def _named(lab: Lab, name: str) -> list[str]:
    """The service itself; of the workers every fleet, each with the share of work that routing gives it."""
    return [each for each in lab.service_names() if each == name or each.startswith(f"{name}.")]


SERVICES = ("ingest", "policy", "router", "provider-worker", "audit-sink")

SCENARIOS = (
    *(
        Scenario(f"kill-{name}", f"{name} is killed and restarted, {_KILLS} times", partial(one_service, name))
        for name in SERVICES
    ),
    Scenario(
        "replica-lost",
        "of two replicas one is killed and stays away, service by service",
        one_replica,
        Conditions(replicas=_REPLICAS),
    ),
    Scenario("fleet-lost", "all workers of a vendor are killed and stay away", whole_fleet),
)
