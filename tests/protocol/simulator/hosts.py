"""Processes under a supervisor: each slot has one life after another."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from simulator.front import Front
from simulator.kafka import Kafka
from simulator.loop import Process, SimLoop, State
from simulator.net import KERNEL, Net
from simulator.postgres import Postgres
from simulator.services import Host
from simulator.settings import EPOCH_MS

from allweather.messaging import BrokerAway, ConsumerStopped

_GIVES_UP = (ConsumerStopped, BrokerAway)
"""What a process may end with: it cannot go on, or finds no broker when it starts."""
RESTARTS_S = ((0.3, 3.0), (16.0, 25.0))
"""How long a process is gone: less, or more, than the session timeout."""


class HostClock:
    """The clock of one machine, which can be set wrong."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop
        self.wrong_ms = 0

    def now_ms(self) -> int:
        return EPOCH_MS + int(self._loop.time() * 1000) + self.wrong_ms

    def monotonic(self) -> float:
        return self._loop.time()


@dataclass
class Slot:
    """A place for a process, which is started again whenever it ends."""

    name: str
    main: Callable[[Host], Coroutine[Any, Any, None]]
    clock: HostClock
    host: Host | None = None
    closed: bool = False
    """Nothing is started here any more."""

    @property
    def process(self) -> Process | None:
        """Its present life, if it is not between two."""
        return self.host.process if self.host and self.host.process.state is not State.DEAD else None


@dataclass
class Supervisor:
    """Starts, kills, stops and continues processes, and tells the servers what they would notice of it."""

    net: Net
    kafka: Kafka
    postgres: Postgres
    front: Front
    slots: list[Slot] = field(default_factory=list[Slot])
    disturbed: list[tuple[float, Process]] = field(default_factory=list[tuple[float, Process]])
    bugs: list[str] = field(default_factory=list[str])
    calm: bool = False

    def start(self, slot: Slot) -> None:
        if slot.process is not None or slot.closed:
            return
        process = Process(self.net.loop, slot.name)
        slot.host = Host(process, slot.clock, slot.name, asyncio.Event())
        self.net.say("STARTED", slot.name)
        main = process.spawn(slot.main(slot.host))
        main.add_done_callback(lambda task: self._ended(slot, process, task), context=KERNEL)

    def crash(self, process: Process) -> None:
        """SIGKILL."""
        if process.state is State.DEAD:
            return
        self.net.note("crash", process.name)
        process.kill()
        self._died(process)
        self._start_later(self._slot_of(process))

    def stall(self, process: Process, seconds: float) -> None:
        """SIGSTOP, and SIGCONT so many seconds later."""
        if process.state is not State.RUNNING:
            return
        self.net.say("STOPPED", process.name, f"for {seconds:g} s")
        process.stop()
        self._gone(process)
        self.postgres.client_stalled(process)
        self.net.later(seconds, self._go_on, process)

    def ask_to_stop(self, slot: Slot) -> None:
        """SIGTERM."""
        if slot.host is not None and slot.process is not None:
            self.net.note("asked to stop", slot.name)
            self.disturbed.append((self.net.loop.time(), slot.host.process))
            slot.host.stopping.set()

    def close(self, slot: Slot) -> None:
        """Its machine is gone, until the end of the schedule."""
        slot.closed = True
        if slot.process is not None:
            self.crash(slot.process)

    def reopen(self, slot: Slot) -> None:
        """Its machine is back."""
        slot.closed = False
        self.start(slot)

    def calm_down(self) -> None:
        """Whatever stands still goes on, whatever is dead is started."""
        self.calm = True
        for slot in self.slots:
            slot.clock.wrong_ms = 0
            if slot.process is not None:
                self._go_on(slot.process)
            else:
                self.start(slot)

    def _go_on(self, process: Process) -> None:
        if process.state is State.STOPPED:
            self.net.say("CONTINUED", process.name)
            process.go_on()

    def _gone(self, process: Process) -> None:
        self.disturbed.append((self.net.loop.time(), process))
        self.kafka.lost_sight_of(process)

    def _ended(self, slot: Slot, process: Process, task: "asyncio.Task[None]") -> None:
        """It has ended by itself: because it was asked to, or because it could not go on."""
        if process.state is State.DEAD:
            return
        error = None if task.cancelled() else task.exception()
        self.net.say("ENDED", slot.name, repr(error))
        if error is not None and not isinstance(error, _GIVES_UP):
            self.bugs.append(f"{slot.name}: {error!r}")
        process.kill()
        self._died(process)
        self._start_later(slot)

    def _died(self, process: Process) -> None:
        self._gone(process)
        self.postgres.client_died(process)
        self.front.lost(process)

    def _start_later(self, slot: Slot) -> None:
        low, high = RESTARTS_S[0] if self.calm else self.net.chance.one_of(RESTARTS_S)
        self.net.later(self.net.chance.between(low, high), self.start, slot)

    def _slot_of(self, process: Process) -> Slot:
        return next(slot for slot in self.slots if slot.name == process.name)
