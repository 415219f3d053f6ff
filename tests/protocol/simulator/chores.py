"""What comes round again and again beside a router's consumer, as `router.loops.turning` does it.

Turns that would find nothing to do are left out: whether there is anything is known here, and most of virtual time is
spent waiting.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from simulator.loop import Process
from simulator.net import Net

from allweather.messaging import TransientError

Turn = Callable[[], Awaitable[object]]
EVERY_S = (0.3, 2.0)


class Chore:
    """Something that is due while `wanted` says so, and once more after that: to notice that it is over."""

    def __init__(self, turn: Turn, wanted: Callable[[], object]) -> None:
        self._turn, self._wanted = turn, wanted
        self._unfinished = False
        self._under_way: asyncio.Task[None] | None = None

    def take(self, process: Process, net: Net) -> None:
        """Take a turn if it is time, and none is under way."""
        wanted = bool(self._wanted())
        if (wanted or self._unfinished) and (self._under_way is None or self._under_way.done()):
            self._unfinished = wanted
            self._under_way = process.spawn(self._taken(net))

    async def _taken(self, net: Net) -> None:
        try:
            await self._turn()
        except TransientError:  # a dependency that is away is waited for
            net.seen["turn put off"] += 1
            self._unfinished = True


@dataclass(frozen=True)
class Chores:
    """All chores of one process."""

    chores: Sequence[Chore]
    process: Process
    net: Net

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            await asyncio.sleep(self.net.chance.between(*EVERY_S))
            for chore in self.chores:
                chore.take(self.process, self.net)
