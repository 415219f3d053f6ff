"""An event loop on virtual time, and the processes that share it: the same seed always takes the same turns.

Everything that runs here is ordinary asyncio code. A process is a set of tasks that can die together (SIGKILL: no
`finally` runs) or stand still together (SIGSTOP) and go on later, not knowing that it did.
"""

import asyncio
import contextvars
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from contextvars import Context, ContextVar
from enum import Enum
from heapq import heappop, heappush
from itertools import count
from typing import Any, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


_FUNERALS = 50
"""A task may await something in each of its `finally` blocks."""


class State(Enum):
    RUNNING = "running"
    STOPPED = "stopped"
    DEAD = "dead"


class Process:
    """Tasks that live and die together. What it has sent before its death still arrives."""

    def __init__(self, loop: "SimLoop", name: str) -> None:
        self.name = name
        self.state = State.RUNNING
        self.main: asyncio.Task[None] | None = None
        self.held: list[Turn] = []
        self._loop = loop
        self._context = contextvars.copy_context()
        self._context.run(_PROCESS.set, self)

    def spawn(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Run `work` as part of this process."""
        return self._loop.create_task(work, context=self._context.copy())

    def kill(self) -> None:
        """No task of it ever takes another turn."""
        self.state = State.DEAD

    def stop(self) -> None:
        """Hold every turn until it is continued."""
        self.state = State.STOPPED

    def go_on(self) -> None:
        """Take the turns that were held, in their order."""
        if self.state is State.STOPPED:
            self.state = State.RUNNING
            self._loop.requeue(self.held)
            self.held = []


_PROCESS: ContextVar[Process | None] = ContextVar("process", default=None)


def current() -> Process | None:
    """The process whose turn it is; None for the world around them."""
    return _PROCESS.get()


class Turn(asyncio.TimerHandle):
    """One callback that is due at a time."""

    __slots__ = ("at", "call", "context", "process")

    def __init__(
        self, at: float, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None
    ) -> None:
        # Not the parent's constructor, which asks the loop for its debug mode at every turn.
        self.at = self._when = at
        self._cancelled = False
        self.context = contextvars.copy_context() if context is None else context
        self.process = self.context.get(_PROCESS)
        self.call = (callback, *args)

    def cancel(self) -> None:
        self._cancelled = True
        self.call = (_nothing,)

    def cancelled(self) -> bool:
        return self._cancelled


def _nothing() -> None:
    """A turn that was cancelled."""


class SimLoop(asyncio.AbstractEventLoop):
    """Takes turns in the order of their times; between two times nothing happens, however long that is."""

    def __init__(self) -> None:
        self._now = 0.0
        self._ready: deque[Turn] = deque()
        self._timers: list[tuple[float, int, Turn]] = []
        self._numbers = count()
        self._stopping = self._burying = False
        self._tasks: list[asyncio.Task[Any]] = []
        """Held, because those of a dead process wait for what never comes, and nobody else knows them. Collected as
        garbage, their `finally` blocks would run."""
        self.turns = 0
        self.complaints: list[str] = []
        """What asyncio had to say of tasks whose error nobody has read: bugs."""

    # What asyncio asks of a loop

    def time(self) -> float:
        return self._now

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: str | None = None, context: Context | None = None) -> "asyncio.Task[Any]":
        task = asyncio.Task(coro, loop=self, name=name or "", context=context)
        self._tasks.append(task)
        return task

    def call_soon(self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None) -> Turn:
        turn = Turn(self._now, callback, args, context)
        self._ready.append(turn)
        return turn

    def call_later(
        self, delay: float, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> Turn:
        turn = Turn(self._now + delay, callback, args, context)
        heappush(self._timers, (turn.at, next(self._numbers), turn))
        return turn

    def call_at(
        self, when: float, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> Turn:
        turn = Turn(when, callback, args, context)
        heappush(self._timers, (when, next(self._numbers), turn))
        return turn

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        subject = context.get("exception") or context.get("task") or context.get("future")
        self.complaints.append(f"{context.get('message')}: {subject!r}")

    # What the world asks of it

    def requeue(self, turns: list[Turn]) -> None:
        self._ready.extend(turns)

    def forget_ended(self) -> None:
        """Let go of the tasks that have ended: those whose error nobody has read complain."""
        self._tasks = [task for task in self._tasks if not task.done()]

    def stop(self) -> None:
        self._stopping = True

    def run(self, until: float = float("inf")) -> None:
        """Take turns until stopped, until nothing is left to do, or until that time."""
        self._stopping = False
        events._set_running_loop(self)  # pyright: ignore[reportPrivateUsage] - made for event loops, as it says
        try:
            while not self._stopping and self._wind(until):
                self._take_ready()
        finally:
            events._set_running_loop(None)  # pyright: ignore[reportPrivateUsage] - as above

    def bury(self, processes: Iterable[Process]) -> None:
        """Let every task come to an end, so that none is destroyed half way. Nothing that they still do may matter."""
        self._burying, self._stopping = True, False
        events._set_running_loop(self)  # pyright: ignore[reportPrivateUsage] - as above
        try:
            for _ in range(_FUNERALS):
                self.forget_ended()
                if not self._tasks:
                    return
                for task in self._tasks:
                    task.cancel()
                for process in processes:
                    self.requeue(process.held)
                    process.held = []
                self._take_ready()
        finally:
            events._set_running_loop(None)  # pyright: ignore[reportPrivateUsage] - as above
        raise AssertionError(f"these tasks do not end: {self._tasks}")

    def _wind(self, until: float) -> bool:
        """Go on to the next time at which something is due; False when there is none before `until`."""
        if self._ready:
            return True
        timers = self._timers
        if not timers or timers[0][0] > until:
            return False
        self._now = max(self._now, timers[0][0])
        self._ready.append(heappop(timers)[2])
        return True

    def _take_ready(self) -> None:
        ready = self._ready
        while ready and not self._stopping:
            turn = ready.popleft()
            process = turn.process
            self.turns += 1
            if process is None or process.state is State.RUNNING or self._burying:
                turn.context.run(*turn.call)
            else:
                process.held.append(turn)
