"""Named places where a test may make a process die, stall or skip a guard. All are off by default."""

import asyncio
from typing import Final, Self

from allweather.failpoints.actions import Armed, FailpointReached
from allweather.failpoints.names import Guard, Point
from allweather.failpoints.parsing import parse

__all__ = ["OFF", "FailpointReached", "Failpoints", "Guard", "Point"]


class Failpoints:
    """The failpoints that are armed in this process; `Failpoints()` has none and costs one dict look-up a turn."""

    __slots__ = ("_armed",)

    def __init__(self, armed: dict[str, Armed] | None = None) -> None:
        self._armed: dict[str, Armed] = armed or {}

    @classmethod
    def parse(cls, text: str) -> Self:
        """Failpoints of a text such as `router.first-row-wins=skip;worker.after-response=kill@3`.

        `@3` acts at the third turn only; without it every turn acts. A guard can be `skip`ped. A point can `kill`
        (SIGKILL of this process), `stop` (SIGSTOP), `raise`, `block:seconds` (the event loop stalls) or
        `sleep:seconds` (only the coroutine does). Raises ValueError that lists everything it does not understand.
        """
        return cls(parse(text))

    def __bool__(self) -> bool:
        return bool(self._armed)

    def __repr__(self) -> str:
        return f"Failpoints({sorted(self._armed)})"

    def skips(self, guard: Guard) -> bool:
        """Whether this turn of `guard` is to be left out."""
        armed = self._armed.get(guard)
        return armed is not None and armed.due()

    def reach(self, point: Point) -> None:
        """Die, stop, stall or raise here if `point` is armed and this is its turn."""
        armed = self._armed.get(point)
        if armed is not None and armed.due():
            armed.fire()

    async def pause(self, point: Point) -> None:
        """`reach` for a place that can also let other coroutines run on while it sleeps."""
        armed = self._armed.get(point)
        if armed is None or not armed.due():
            return
        if armed.action == "sleep":
            await asyncio.sleep(armed.seconds)
        else:
            armed.fire()


OFF: Final = Failpoints()
"""Nothing is armed: the default everywhere but in a test."""
