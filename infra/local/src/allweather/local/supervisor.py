"""Keeps a set of programs running: started in parallel, rolled back together, stopped in reverse order."""

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import psutil

from allweather.local.child import Child, Program
from allweather.local.ports import require_free
from allweather.local.state import StateFolder

Report = Callable[[str], None]


def _ignore() -> None:
    """For those who do not follow the changes."""


class Supervisor:
    """The one supervisor of a state folder, as an async context manager: what it started ends with it.

    Raises AlreadyRunning on entry when another one holds the folder. Programs which a killed supervisor left behind
    are ended first.
    """

    def __init__(self, state: StateFolder, report: Report) -> None:
        self.state = state
        self.on_change: Callable[[], None] = _ignore
        self._report = report
        self._children: dict[str, Child] = {}
        self._stages: list[list[Child]] = []
        self._held = ExitStack()

    async def __aenter__(self) -> Self:
        self._held.enter_context(self.state.locked())
        await asyncio.to_thread(end_left_over, self.state)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None):
        try:
            await self._stop_all()
        finally:
            self._held.close()

    async def start(self, *programs: Program) -> None:
        """Start `programs` in parallel and return when all are ready.

        When one fails, all of them are stopped and its StartFailed is raised.
        """
        for program in programs:
            require_free(program.name, program.port)
        stage = [Child(program, self.state, self._changed) for program in programs]
        self._stages.append(stage)
        self._children |= {child.program.name: child for child in stage}
        starts = [asyncio.create_task(self._start(child)) for child in stage]
        try:
            await asyncio.gather(*starts)
        except BaseException:
            await _cancel(starts)
            await self._stop_stage(stage)
            self._forget(stage)
            raise

    async def stop(self, name: str) -> None:
        """End one program, in its own way; it stays down until `resume`."""
        await self._children[name].stop()

    async def resume(self, name: str) -> None:
        """Start a program again that was stopped or killed for good."""
        await self._children[name].start()

    def amend(self, name: str, **environment: str) -> None:
        """Change variables of one program; they count from its next start on."""
        self._children[name].amend(environment)

    async def restart(self, name: str) -> None:
        await self.stop(name)
        await self.resume(name)

    async def kill(self, name: str, number: signal.Signals = signal.SIGKILL, *, revive: bool = True) -> None:
        """Send a signal to one program. After SIGKILL it is dead on return, and comes back by itself if `revive`."""
        child = self._children[name]
        if number is signal.SIGKILL:
            await child.kill(revive=revive)
        else:
            child.signal(number)

    async def until_ready(self, name: str, within: float = 60.0) -> None:
        """Return when `name` is ready (again); raises StartFailed when that takes too long."""
        await self._children[name].until_ready(within)

    def pid(self, name: str) -> int | None:
        return self._children[name].pid

    def names(self) -> list[str]:
        """All programs, in the order in which they were started."""
        return list(self._children)

    def snapshot(self) -> dict[str, dict[str, Any]]:
        """What runs, by name: pid, phase, readiness, port, probe and number of restarts."""
        return {name: child.snapshot() for name, child in self._children.items()}

    def _changed(self) -> None:
        self.on_change()

    async def _start(self, child: Child) -> None:
        began = time.monotonic()
        await child.start()
        self._report(f"{child.program.name} ready on port {child.program.port} ({time.monotonic() - began:.1f} s)")

    async def _stop_all(self) -> None:
        for stage in reversed(self._stages):
            await self._stop_stage(stage)

    async def _stop_stage(self, stage: list[Child]) -> None:
        await asyncio.gather(*(child.stop() for child in stage))

    def _forget(self, stage: list[Child]) -> None:
        self._stages.remove(stage)
        for child in stage:
            del self._children[child.program.name]


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def end_left_over(state: StateFolder) -> list[str]:
    """End what a supervisor that was killed has left behind; returns the names."""
    left = state.left_over()
    for process in left.values():
        _send(process, signal.SIGTERM)
    _, stubborn = psutil.wait_procs(list(left.values()), timeout=10)
    for process in stubborn:
        _send(process, signal.SIGKILL)
    psutil.wait_procs(stubborn, timeout=5)
    for name in left:
        state.forget(name)
    return list(left)


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
