"""An event loop on virtual time, and the processes that share it: the same seed always takes the same turns.

Everything that runs here is ordinary asyncio code. A process is a set of tasks that can die together (SIGKILL: no
`finally` runs) or stand still together (SIGSTOP) and go on later, not knowing that it did.
"""

import asyncio
import contextvars
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar
from enum import Enum
from heapq import heappop, heappush
from itertools import count
from typing import Any, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


MOST_TURNS = 100_000
"""A schedule takes some hundreds; one that takes so many runs in circles."""
_FUNERALS = 50
"""More than any coroutine has `finally` blocks in which it awaits."""


_FOR_EVER = float("inf")


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

    def time(self) -> float:
        """Its steady clock."""
        return self._loop.time()

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
        self.at = at
        self.context = contextvars.copy_context() if context is None else context
        self.process = self.context.get(_PROCESS)
        self.call = (callback, *args)

    def cancel(self) -> None:
        self.call = (_nothing,)

    def cancelled(self) -> bool:
        return self.call == (_nothing,)

    def when(self) -> float:
        return self.at


def _nothing() -> None:
    """A turn that was cancelled."""


class SimLoop(asyncio.AbstractEventLoop):
    """Takes turns in the order of their times; between two times nothing happens, however long that is."""

    def __init__(self) -> None:
        self._now = 0.0
        self._ready: deque[Turn] = deque()
        self._timers: list[tuple[float, int, Turn]] = []
        self._numbers = count()
        self._stopping = self._buried = False
        self._tasks: list[tuple[asyncio.Task[Any], Process | None]] = []
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
        self._tasks.append((task, _PROCESS.get() if context is None else context.get(_PROCESS)))
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
        if self._buried:
            return
        subject = context.get("exception") or context.get("task") or context.get("future")
        self.complaints.append(f"{context.get('message')}: {subject!r}")

    # What the world asks of it

    def requeue(self, turns: list[Turn]) -> None:
        self._ready.extend(turns)

    def forget_ended(self) -> None:
        """Let go of the tasks that have ended: those whose error nobody has read complain."""
        for task, process in self._tasks:
            if process is not None and process.state is State.DEAD and task.done() and not task.cancelled():
                task.exception()  # who should have read it has died
        self._tasks = [(task, process) for task, process in self._tasks if not task.done()]

    def stop(self) -> None:
        self._stopping = True

    def run(self, until: float = _FOR_EVER) -> None:
        """Take turns until stopped, until nothing is left to do, or until that time."""
        ready, timers = self._ready, self._timers
        self._stopping = False
        events._set_running_loop(self)  # pyright: ignore[reportPrivateUsage] - made for event loops, as it says
        try:
            while not self._stopping and self.turns < MOST_TURNS:
                if ready:
                    turn = ready.popleft()
                elif timers and timers[0][0] <= until:
                    turn = heappop(timers)[2]
                    self._now = max(self._now, turn.at)
                else:
                    self._now = max(self._now, until) if until < _FOR_EVER else self._now
                    break
                self._take(turn)
        finally:
            events._set_running_loop(None)  # pyright: ignore[reportPrivateUsage] - as above

    def bury(self) -> None:
        """Close every coroutine there is. Their `finally` blocks run here, once nothing that they do matters."""
        self._buried = True
        events._set_running_loop(self)  # pyright: ignore[reportPrivateUsage] - as above
        try:
            for task, _ in self._tasks:
                _close(task.get_coro())
        finally:
            events._set_running_loop(None)  # pyright: ignore[reportPrivateUsage] - as above
        self._tasks = []
        self._timers.clear()
        self._ready.clear()

    def _take(self, turn: Turn) -> None:
        process = turn.process
        if process is None or process.state is State.RUNNING:
            self.turns += 1
            turn.context.run(*turn.call)
        elif process.state is State.STOPPED:
            process.held.append(turn)


def _close(work: Any) -> None:
    """Close a coroutine that wants to await something in its `finally` blocks: it must do without."""
    for _ in range(_FUNERALS):
        try:
            work.close()
        except (Exception, asyncio.CancelledError):  # noqa: BLE001 - it awaits, or minds its end: it is over all the same
            continue
        return
    raise AssertionError(f"{work} does not end")
