"""Between a process and a server: every call is a place where anything may happen to either.

A call takes effect at one moment of its own, after it was made and before it is answered. The caller may die before
it, between it and the answer, stand still for long, or be told that the connection broke, before or after the effect.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextvars import Context
from math import inf
from typing import Any, Literal, TypeVar, get_args

from simulator.chance import Chance
from simulator.loop import Process, SimLoop, State, current

T = TypeVar("T")
Cut = Callable[[], Exception]
"""The error that a caller sees when its connection breaks."""
Effect = Callable[[], Any]
"""What a call does at its server, at one moment; a coroutine where the server itself takes its time."""

Fault = Literal[
    "crash before a call",
    "crash with a call under way",
    "crash after a call",
    "stall",
    "cut before the effect",
    "cut after the effect",
    "slow call",
]
FAULTS: tuple[Fault, ...] = (*get_args(Fault), "stall")
STALLS = (0.5, 3.0, 8.0, 18.0, 40.0, 90.0)
"""How long a process stands still: below and above the session timeout (15 s) and the lease of a claim (15 s)."""

KERNEL = Context()
"""Where the turns of the world run: they belong to no process."""


class Server:
    """Something that can be out of reach."""

    def __init__(
        self,
        name: str,
        cut: Cut,
        *,
        exposure: float = 1.0,
        faults: Sequence[Fault] = FAULTS,
        patience_s: float = inf,
    ) -> None:
        self.name = name
        self.cut = cut
        self.exposure = exposure
        """How much likelier a fault is at a call to it than at others."""
        self.patience_s = patience_s
        """An answer that takes longer is as good as none."""
        self.faults = faults
        self.away = False
        self.cut_off: set[str] = set()
        """The names of processes that cannot reach it, though others can."""
        self.troubled = False
        """Whether any call to it has ever failed, or was answered too late."""

    def in_reach_of(self, process: Process | None) -> bool:
        return not self.away and (process is None or process.name not in self.cut_off)


class Net:
    """The wires of one schedule, with the faults that are left to happen on them."""

    def __init__(self, loop: SimLoop, chance: Chance, trace: list[str] | None = None) -> None:
        self.loop, self.chance, self.trace = loop, chance, trace
        self.seen: Counter[str] = Counter()
        """How often each kind of thing happened."""
        self.fault_share = 0.0
        """How likely a fault is at each call."""
        self.faults_left = 0
        self.aim = ""
        """How the names of the processes begin to whose calls they happen."""
        self.under_way = 0
        """What was sent and takes its time to arrive."""
        self.over = False
        """Whether the schedule is over: nobody answers any more."""
        self._unanswered: list[asyncio.Future[Any]] = []
        self.crash: Callable[[Process], None] = _nobody
        self.stall: Callable[[Process, float], None] = _nobody

    def note(self, what: str, *detail: object) -> None:
        """Count something that happened; say more of it where a trace is kept."""
        self.seen[what] += 1
        if self.trace is not None:
            self.say(what, *detail)

    def say(self, what: str, *detail: object) -> None:
        """One line of the trace."""
        if self.trace is not None:
            process = current()
            who = process.name if process else "-"
            self.trace.append(f"{self.loop.time():9.3f} {who:<14} {what} {' '.join(map(str, detail))}".rstrip())

    def later(self, delay: float, call: Callable[..., object], *args: Any) -> None:
        """Do something in the world, whoever is dead by then."""
        self.loop.call_later(delay, call, *args, context=KERNEL)

    def slowly(self, delay: float, call: Callable[..., object], *args: Any) -> None:
        """As `later`, for something so late that the schedule must be told to wait for it."""
        self.under_way += 1
        self.later(delay, self._arrives, call, *args)

    def _arrives(self, call: Callable[..., object], *args: Any) -> None:
        self.under_way -= 1
        call(*args)

    async def call(self, server: Server, effect: Effect) -> Any:
        """The answer of `server`; raises what `effect` raises, or that the connection broke."""
        if self.over:
            raise asyncio.CancelledError
        process = current()
        answer: asyncio.Future[Any] = self.loop.create_future()
        delay = self.chance.latency()
        if not server.in_reach_of(process):
            server.troubled = True
            self.later(delay, _fail, answer, server.cut())
        elif process is not None and self._goes_wrong(process, server):
            await self._fault(process, server, effect, answer, delay)
        else:
            self.loop.call_later(delay, self._serve, server, effect, answer, context=KERNEL)
        return await answer

    def _goes_wrong(self, process: Process, server: Server) -> bool:
        if not self.faults_left or not process.name.startswith(self.aim):
            return False
        return self.chance.happens(self.fault_share * server.exposure)

    async def _fault(
        self, process: Process, server: Server, effect: Effect, answer: "asyncio.Future[Any]", delay: float
    ) -> None:
        self.faults_left -= 1
        fault = self.chance.one_of(server.faults)
        self.note(fault, server.name)
        match fault:
            case "crash before a call":
                await self._dies(process)
            case "crash with a call under way":
                self.later(delay, self._serve, server, effect, answer)
                await self._dies(process)
            case "crash after a call":
                self._unanswered.append(answer)
                self.later(delay, self._serve_and_kill, server, effect, process)
            case "stall":
                self.later(delay, self._serve, server, effect, answer)
                self.stall(process, self.chance.one_of(STALLS))
            case "cut before the effect":
                server.troubled = True
                self.later(delay, _fail, answer, server.cut())
            case "cut after the effect":
                server.troubled = True
                self.later(delay, self._serve_unheard, server, effect, answer)
            case "slow call":
                seconds = self.chance.between(2, 40)
                server.troubled |= seconds > server.patience_s
                self.slowly(seconds, self._serve, server, effect, answer)

    def _serve_and_kill(self, server: Server, effect: Effect, process: Process) -> None:
        self._serve(server, effect, self.loop.create_future())
        self.crash(process)

    async def _dies(self, process: Process) -> None:
        self.crash(process)
        await self.loop.create_future()

    def _serve(self, server: Server, effect: Effect, answer: "asyncio.Future[Any]") -> None:
        if server.away:
            server.troubled = True
            _fail(answer, server.cut())
            return
        try:
            found = effect()
        except Exception as error:  # noqa: BLE001 - whatever the server says, its caller hears
            _fail(answer, error)
            return
        if asyncio.iscoroutine(found):
            work = self.loop.create_task(found, context=KERNEL.copy())
            work.add_done_callback(lambda done: _pass_on(done, answer), context=KERNEL)
        elif not answer.done():
            answer.set_result(found)

    def _serve_unheard(self, server: Server, effect: Effect, answer: "asyncio.Future[Any]") -> None:
        unheard: asyncio.Future[Any] = self.loop.create_future()
        unheard.add_done_callback(lambda done: _fail(answer, done.exception() or server.cut()), context=KERNEL)
        self._serve(server, effect, unheard)


def alive(process: Process | None) -> bool:
    return process is None or process.state is not State.DEAD


def _fail(answer: "asyncio.Future[Any]", error: BaseException) -> None:
    if not answer.done():
        answer.set_exception(error)
        answer.exception()  # its caller may be dead: then nobody has failed to ask


def _pass_on(done: "asyncio.Future[Any]", answer: "asyncio.Future[Any]") -> None:
    error = done.exception()
    if error is not None:
        _fail(answer, error)
    elif not answer.done():
        answer.set_result(done.result())


def _nobody(*_: Any) -> None:
    """Before the world is complete there is nobody to kill."""
