"""An hour of everything, two faults at a time."""

import asyncio
from time import monotonic

from lab.growth import Life, Sample, level, look, of_survivors
from lab.lab import Lab
from lab.scenario import Conditions, Scenario
from lab.strikes import Strike, on_links, on_processes, on_servers, on_vendors

from allweather.drills.acts import NORMAL
from allweather.vendorsim.faults import Refuse

_LONG_S = 3600.0
_SHORT_S = 60.0
_AT_A_TIME = 2
_GROWTH = 0.05
_FIRST = 1 / 3
"""The part of the hour after which memory and files are looked at for the first time: strikes of every kind are met."""
_WORST_S = 60.0
"""Longer than any of the strikes."""
_BACK_S = 30.0
"""Until whatever waited for the last strike's end is done."""
_CALM_S = 60.0
_IDLE_S = 90.0
"""Longer than anybody keeps a connection to a vendor or from a caller that is not used."""
_LOOK_S = 2.0
_REPLICATED = ("policy", "router", "provider-worker.anthropic", "audit-sink")
_VICTIMS = [*(f"{name}-1" for name in _REPLICATED), "provider-worker.azure-openai", "provider-worker.vertex"]
"""The first replica of each service lives through the whole hour, so that what grows can be seen."""


async def everything(lab: Lab) -> None:
    """The longest outages, then two faults at a time, chosen by the seed, until the time is over.

    What the processes hold is compared between the end of the first strikes and the end of all: memory in a calm minute
    of the same load, files without any. In an outage callers wait, connections are closed, and both differ by chance.
    """
    whole, counts = lab.seconds(_LONG_S, _SHORT_S), list[str]()
    until = monotonic() + whole
    await _worst(lab)
    await _strikes(lab, counts, monotonic() + whole * _FIRST)
    early = await _calm(lab)
    await _strikes(lab, counts, until)
    late = await _calm(lab)
    lab.figures.note("strikes", len(counts))
    _note_growth(lab, early, late)


async def _worst(lab: Lab) -> None:
    """The longest outages come first: what a backlog needs is then there from the beginning, and what grows is a leak.

    Memory that has held many small things is seldom given back, and how many callers wait at once is chance otherwise.
    """
    lab.say("first the longest outages: every vendor, then the broker, then Postgres")
    await lab.stage.simulator.put_faults(Refuse())
    await lab.hold(lab.seconds(_WORST_S, 5.0))
    await lab.stage.simulator.put_faults(*NORMAL)
    for server in ("kafka-1", "postgres"):
        async with lab.without(server):
            await lab.hold(lab.seconds(_WORST_S / 2, 5.0))


async def _strikes(lab: Lab, counts: list[str], until: float) -> None:
    strikes = [*on_processes(_VICTIMS), *on_servers(), *on_vendors(), *on_links(list(lab.links))]
    struck = set[str]()
    await asyncio.gather(*(_strike(lab, strikes, struck, counts, until) for _ in range(_AT_A_TIME)))


async def _strike(lab: Lab, strikes: list[Strike], struck: set[str], counts: list[str], until: float) -> None:
    while monotonic() < until:
        strike = lab.chance.choice([s for s in strikes if s.part not in struck])
        struck.add(strike.part)
        lab.say(f"{strike.name} ({max(0, until - monotonic()):.0f} s to go)")
        try:
            await strike.run(lab)
        finally:
            struck.discard(strike.part)
        counts.append(strike.name)
        await lab.hold(lab.chance.uniform(1, 10))


async def _calm(lab: Lab) -> dict[Life, Sample]:
    lab.say("a calm minute and a pause, to see what every process holds")
    await lab.hold(lab.seconds(_BACK_S, 1.0))
    loaded = await _looks(lab, lab.seconds(_CALM_S, _LOOK_S))
    async with lab.at_rest():
        await lab.hold(lab.seconds(_IDLE_S, 1.0))
        return level(loaded, await _looks(lab, 5 * _LOOK_S))


async def _looks(lab: Lab, seconds: float) -> list[dict[Life, Sample]]:
    servers = {link.port: name for name, link in lab.links.items()}
    looks, until = list[dict[Life, Sample]](), monotonic() + seconds
    while monotonic() < until:
        pids = {name: pid for name in lab.service_names() if (pid := lab.services.pid(name))}
        looks.append(look(pids, servers, ["postgres"]))
        await lab.hold(_LOOK_S)
    return looks


def _note_growth(lab: Lab, first: dict[Life, Sample], last: dict[Life, Sample]) -> None:
    for name, (early, late) in of_survivors(first, last).items():
        lab.figures.note(f"rss_mb_{name}", late.rss_mb)
        if lab.thorough:
            lab.figures.at_most(f"rss_growth_{name}", late.rss_mb / early.rss_mb - 1, _GROWTH)
            lab.figures.at_most(f"files_growth_{name}", late.files.total() - early.files.total(), 0)
            lab.figures.note(f"files_{name}", {"early": dict(early.files), "late": dict(late.files)})


SCENARIOS = (
    Scenario(
        "soak",
        "an hour at 50 requests a second with two random faults at a time",
        everything,
        Conditions(linked=True, per_second=50.0, replicas=dict.fromkeys(_REPLICATED, 2), settle_within_s=300.0),
    ),
)
