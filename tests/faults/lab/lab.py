"""A whole system under load, with a hand on every part of it."""

import asyncio
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import monotonic
from typing import Final, TypeVar
from uuid import UUID

import asyncpg
from lab.door import DoorProbe
from lab.figures import Figures
from lab.links import Link
from lab.scenario import Conditions

from allweather.drills.checker import Violation
from allweather.drills.evidence import Evidence
from allweather.drills.journal import now_ms
from allweather.drills.load import Load
from allweather.drills.stage import Stage
from allweather.local.supervisor import Supervisor
from allweather.local.system import services
from allweather.messaging import MessagingError, TopicPartition

Say = Callable[[str], None]
Prove = Callable[[Evidence], list[Violation]]
T = TypeVar("T")

_LOOK_S: Final = 0.1
AWAY: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, MessagingError, TimeoutError)
"""What our own look at the system meets while a server is away: look again."""


@dataclass(slots=True)
class Lab:
    """What a scenario has in its hands. Everything random comes from `chance`, so a seed tells the whole plan."""

    conditions: Conditions
    stage: Stage
    state: Path
    """Where everything of this lab lives."""
    servers: Supervisor
    services: Supervisor
    links: dict[str, Link]
    loads: list[Load]
    door: DoorProbe
    chance: Random
    thorough: bool
    say: Say
    figures: Figures
    proofs: list[Prove] = field(default_factory=list[Prove])
    """What the scenario has proven beyond P1 to P6, once everything is settled."""

    def times(self, full: int) -> int:
        """How often a thing is done: `full` times, or twice in a short run."""
        return full if self.thorough else 2

    def seconds(self, full: float, short: float) -> float:
        """How long a thing lasts."""
        return full if self.thorough else short

    def service_names(self) -> list[str]:
        """Every process of ours; the simulators are not."""
        return [name for name in self.services.names() if name != "vendorsim"]

    async def hold(self, seconds: float) -> None:
        """Let a state last: nothing is awaited but time."""
        await asyncio.sleep(seconds)

    @asynccontextmanager
    async def at_rest(self) -> AsyncGenerator[None]:
        """Send nothing meanwhile, and begin when the clients have what they have asked for."""
        for asking in (*self.loads, self.door):
            asking.resting = True
        try:
            within = self.conditions.settle_within_s
            waiting = await self.callers_waiting(within)
            self.figures.require(f"{waiting} clients wait for answers {within:g} s after the last", kept=not waiting)
            yield
        finally:
            for asking in (*self.loads, self.door):
                asking.resting = False

    async def callers_waiting(self, within: float) -> int:
        """How many clients still wait for what they have asked for, after so many seconds a load at the most."""
        return sum([await load.answered(within) for load in self.loads])

    async def kill(self, name: str, *, revive: bool = True) -> None:
        """SIGKILL one of our processes."""
        self.stage.worker_crashes += name.startswith("provider-worker.")
        await self.services.kill(name, revive=revive)

    async def paused(self, name: str, seconds: float) -> None:
        """Stop a process of ours in the middle of whatever it does, and let it go on: a zombie that comes back."""
        await self.services.kill(name, signal.SIGSTOP)
        try:
            await self.hold(seconds)
        finally:
            await self.services.kill(name, signal.SIGCONT)

    @asynccontextmanager
    async def without(self, *servers: str, needed: bool = True) -> AsyncGenerator[None]:
        """Kill servers, and start them again on leaving."""
        async with self.waited_for(needed=needed):
            await asyncio.gather(*(self.servers.kill(name, revive=False) for name in servers))
            try:
                yield
            finally:
                await asyncio.gather(*(self.servers.resume(name) for name in servers))

    @asynccontextmanager
    async def waited_for(self, *, needed: bool = True) -> AsyncGenerator[None]:
        """A stretch in which something is away; when everything needs it, deadlines are that much later."""
        began = monotonic()
        yield
        if needed:
            self.stage.away_ms += int((monotonic() - began) * 1000)

    async def takeover(self, since_ms: int, within: float = 120.0) -> float:
        """Seconds from `since_ms` until everything that was sent before has its outcome."""
        submissions = self.stage.journal.submissions.values()
        sent = {s.request_id for s in submissions if s.at_ms <= since_ms and s.state != "refused"}
        left = await self.until_settled(sent, within)
        self.figures.require(f"{len(left)} requests sent before a fault are settled within {within:g} s", kept=not left)
        return (now_ms() - since_ms) / 1000

    async def until_settled(self, requests: Iterable[UUID], within: float) -> set[UUID]:
        """Those of `requests` that have no outcome after all, though their clients have not given them up."""
        left, deadline = set(requests), monotonic() + within
        while (left := left - self.door.given_up) and monotonic() < deadline:
            await asyncio.sleep(_LOOK_S)
            left = await self._look(self.stage.unsettled(left), left)
        return left

    async def until_caught_up(self, *groups: str, within: float = 60.0) -> float:
        """Seconds until the groups (all, by default) have finished every record that is on their topics now.

        The load goes on meanwhile, so a group is never without work; a group that does not get there is stalled.
        """
        began, wanted = monotonic(), groups or self._groups()
        ends = {group: await self._ends(group) for group in wanted}
        behind = list(wanted)
        while behind and monotonic() - began < within:
            behind = [
                group for group in behind if await self._look(self._is_behind(group, ends[group]), otherwise=True)
            ]
            await asyncio.sleep(_LOOK_S)
        self.figures.require(f"no group is stalled for {within:g} s ({behind} are)", kept=not behind)
        return monotonic() - began

    def restarts(self) -> int:
        """How often processes of ours were started again, by whoever's doing."""
        return sum(part["restarts"] for part in self.services.snapshot().values())

    def _groups(self) -> list[str]:
        return [service.name for service in services(self.stage.configuration) if service.name != "ingest"]

    async def _ends(self, group: str) -> Mapping[TopicPartition, int]:
        return await self.stage.broker.end_offsets(list(await self.stage.broker.committed(group)))

    async def _is_behind(self, group: str, ends: Mapping[TopicPartition, int]) -> bool:
        places = await self.stage.broker.committed(group)
        return any(at not in places or places[at].offset < end for at, end in ends.items())

    async def _look(self, look: Awaitable[T], otherwise: T) -> T:
        try:
            return await look
        except AWAY:
            return otherwise
