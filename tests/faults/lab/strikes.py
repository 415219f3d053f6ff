"""Single strikes that heal by themselves, for scenarios in which they come at random."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from lab.lab import Lab

from allweather.drills.acts import ANTHROPIC_DOWN, ANTHROPIC_OVERLOADED, NORMAL, WORSE
from allweather.vendorsim.faults import AnyFault

_BACK_WITHIN_S: Final = 180.0
"""Until a killed process must be ready again, though another fault strikes meanwhile what it needs."""


@dataclass(frozen=True, slots=True)
class Strike:
    """Something that goes wrong for a while with one part; two at a time never strike the same part."""

    name: str
    part: str
    run: Callable[[Lab], Awaitable[None]]


async def _kill(name: str, lab: Lab) -> None:
    await lab.kill(name)
    await lab.services.until_ready(name, _BACK_WITHIN_S)


async def _pause(name: str, lab: Lab) -> None:
    lab.stage.worker_crashes += name.startswith("provider-worker.")
    await lab.paused(name, lab.chance.uniform(2, 25))


async def _server(name: str, longest: float, lab: Lab) -> None:
    async with lab.without(name, needed=name != "valkey"):
        await lab.hold(lab.chance.uniform(1, longest))


async def _vendors(faults: tuple[AnyFault, ...], lab: Lab) -> None:
    await lab.stage.simulator.put_faults(*faults)
    await lab.hold(lab.chance.uniform(5, 30))
    await lab.stage.simulator.put_faults(*NORMAL)


async def _cut(name: str, lab: Lab) -> None:
    for _ in range(lab.chance.randint(1, 5)):
        lab.links[name].cut()
        await lab.hold(lab.chance.uniform(0.1, 2))


async def _slow(name: str, lab: Lab) -> None:
    link = lab.links[name]
    link.delay_s = lab.chance.uniform(0.01, 0.2)
    await lab.hold(lab.chance.uniform(5, 20))
    link.delay_s = 0.0


async def _freeze(name: str, lab: Lab) -> None:
    link = lab.links[name]
    async with lab.waited_for(needed=name != "valkey"):
        link.freeze()
        await lab.hold(lab.chance.uniform(3, 20))
        link.thaw()


async def _refuse(name: str, lab: Lab) -> None:
    link = lab.links[name]
    async with lab.waited_for(needed=name != "valkey"):
        link.refuse()
        await lab.hold(lab.chance.uniform(1, 15))
        link.accept()


VENDORS: Final[Mapping[str, tuple[AnyFault, ...]]] = {
    "overloaded": ANTHROPIC_OVERLOADED,
    "down": ANTHROPIC_DOWN,
    "three-ill": WORSE,
}
LINKS: Final = {"cut": _cut, "slow": _slow, "freeze": _freeze, "refuse": _refuse}


def on_processes(names: list[str]) -> list[Strike]:
    """Each of these processes killed, or standing still."""
    return [
        Strike(f"{what} {n}", n, partial(do, n)) for n in names for what, do in (("kill", _kill), ("pause", _pause))
    ]


def on_servers() -> list[Strike]:
    """Each server killed and started again."""
    longest = {"kafka-1": 20.0, "postgres": 20.0, "valkey": 30.0}
    return [Strike(f"kill {name}", name, partial(_server, name, seconds)) for name, seconds in longest.items()]


def on_vendors() -> list[Strike]:
    """The vendors in ill health."""
    return [Strike(f"vendors {name}", "vendors", partial(_vendors, faults)) for name, faults in VENDORS.items()]


def on_links(names: list[str]) -> list[Strike]:
    """The connections to each server cut, slowed, frozen and refused."""
    return [Strike(f"{what} {name}", name, partial(do, name)) for name in names for what, do in LINKS.items()]
