"""One supervised program: started, waited for until ready, started again when it dies, stopped."""

import asyncio
import math
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from allweather.local.errors import StartFailed
from allweather.local.probes import ready
from allweather.local.state import StateFolder

_POLL = 0.05
# A program that ran this long was well: its next crash is a first crash again.
_WELL = 30.0


class Phase(StrEnum):
    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    BACKING_OFF = "backing_off"
    EXITED = "exited"


async def nothing() -> None:
    """The preparation of a program that needs none."""


@dataclass(frozen=True)
class Program:
    """What is to run, how to see that it is ready, and how it likes to be stopped."""

    name: str
    command: tuple[str, ...]
    probe: str
    port: int
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    folder: Path = Path()
    prepare: Callable[[], Awaitable[None]] = nothing
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 10.0
    ready_within: float = 60.0


def backoff(crashes: int) -> float:
    """Seconds to wait before the next start, after so many crashes in a row."""
    return min(10.0, 0.1 * 2**crashes)


class Child:
    """The life of one program. `changed` is called whenever its pid or phase changed."""

    def __init__(self, program: Program, state: StateFolder, changed: Callable[[], None]) -> None:
        self.program = program
        self.phase = Phase.STOPPED
        self.restarts = 0
        self._state = state
        self._changed = changed
        self._process: asyncio.subprocess.Process | None = None
        self._started = 0.0
        self._ready = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self._process.returncode is None else None

    def amend(self, environment: Mapping[str, str]) -> None:
        """Change variables; they count from the next start on."""
        self.program = replace(self.program, environment={**self.program.environment, **environment})

    async def start(self) -> None:
        """Return when the program is ready, and keep it running from then on."""
        self._state.rotate_log(self.program.name)
        try:
            await self.program.prepare()
            await self._spawn()
            await self._until_ready(self.program.ready_within)
        except BaseException:
            await self.stop()
            raise
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.program.name}")

    async def stop(self) -> None:
        """End the program: its own signal first, SIGKILL after the grace. Harmless when it does not run."""
        await self._let_go()
        if self.pid:
            self.signal(self.program.stop_signal)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wait(), self.program.grace)
        await self._end_group()
        self._state.forget(self.program.name)
        self._enter(Phase.STOPPED)

    async def kill(self, *, revive: bool) -> None:
        """SIGKILL, and return when the program is dead; it comes back by itself only if `revive`."""
        if not revive:
            await self._let_go()
        self.signal(signal.SIGKILL)
        await self._wait()
        self._enter(Phase.BACKING_OFF if revive else Phase.STOPPED)

    def signal(self, number: signal.Signals) -> None:
        if self.pid:
            with suppress(ProcessLookupError):  # it has just ended, and nobody has told us yet
                os.kill(self.pid, number)

    async def until_ready(self, within: float) -> None:
        """Wait for a program that is being started again."""
        try:
            await asyncio.wait_for(self._ready.wait(), within)
        except TimeoutError:
            raise self._failure(f"is {self.phase} after {within:g} s") from None

    def snapshot(self) -> dict[str, Any]:
        return {
            "pid": self.pid,
            "phase": self.phase.value,
            "ready": self.phase is Phase.READY,
            "port": self.program.port,
            "probe": self.program.probe,
            "restarts": self.restarts,
        }

    async def _keep(self) -> None:
        """Start the program again whenever it dies. An exit with 0 was its own wish."""
        crashes = 0
        while await self._wait() != 0:
            crashes = 0 if time.monotonic() - self._started > _WELL else crashes + 1
            self._enter(Phase.BACKING_OFF)
            await asyncio.sleep(backoff(crashes))
            self.restarts += 1
            with suppress(StartFailed):
                await self._spawn()
                await self._until_ready(math.inf)  # what it needs may be away for long
        self._enter(Phase.EXITED)

    async def _spawn(self) -> None:
        self._enter(Phase.STARTING)
        with self._state.log(self.program.name).open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.program.command,
                env=dict(self.program.environment),
                cwd=self.program.folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # the terminal's Ctrl-C is for the supervisor, which stops them in order
            )
        self._started = time.monotonic()
        self._state.record(self.program.name, self._process.pid)
        self._changed()

    async def _until_ready(self, within: float) -> None:
        deadline = self._started + within
        while not await ready(self.program.probe):
            if self.pid is None:
                raise self._failure(f"ended with code {await self._wait()} before it was ready")
            if time.monotonic() > deadline:
                raise self._failure(f"was not ready within {within:g} s")
            await asyncio.sleep(_POLL)
        self._enter(Phase.READY)

    def _failure(self, what: str) -> StartFailed:
        end = self._state.end_of_log(self.program.name)
        return StartFailed(f"{self.program.name} {what}; the end of {self._state.log(self.program.name)}:\n{end}")

    async def _wait(self) -> int:
        return await self._process.wait() if self._process else 0

    async def _let_go(self) -> None:
        if self._keeper:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._keeper = None

    async def _end_group(self) -> None:
        """Whatever the program has started itself ends with it."""
        if self._process:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._wait()
            self._process = None

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        if phase is Phase.READY:
            self._ready.set()
        else:
            self._ready.clear()
        self._changed()
