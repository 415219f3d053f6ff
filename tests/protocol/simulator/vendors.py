"""Vendors: each in a mood that changes, each call logged when it begins, for from there on it costs money.

What lies above a vendor's sockets is production's: the translator, the limits of time, the stream and its deltas.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from simulator.loop import Process
from simulator.net import Net, Server
from simulator.wires import ERRORS, Script, Wire, failing, streamed, whole

from allweather.contracts.config import Configuration, Deployment
from allweather.contracts.failures import FailureKind
from allweather.messaging import Publisher
from allweather.provider_worker.adapters.deltas import KafkaDeltas
from allweather.provider_worker.attempts import Attempts, Made
from allweather.provider_worker.call import VendorCall
from allweather.provider_worker.stations import Equipped
from allweather.provider_worker.vendors.open_source import OpenSource
from allweather.provider_worker.wire import failed
from allweather.provider_worker.work import Work
from allweather.runtime.clock import Clock

Mood = Mapping[FailureKind | None, float]
"""How likely each end of a call is; None is an answer."""
Moods = tuple[tuple[Mood, float], ...]

WELL: Mood = {None: 1.0}
FLAKY: Mood = {None: 0.5, FailureKind.UNAVAILABLE: 0.25, FailureKind.RATE_LIMITED: 0.1, FailureKind.INTERRUPTED: 0.15}
DOWN: Mood = {FailureKind.UNAVAILABLE: 0.9, FailureKind.RATE_LIMITED: 0.1}
ODD: Mood = {None: 0.3} | {kind: 0.1 for kind in FailureKind if kind.is_attempt and kind != FailureKind.UNAVAILABLE}
BUGS = 0.004
MOODS: Moods = ((WELL, 0.3), (FLAKY, 0.2), (DOWN, 0.35), (ODD, 0.15))


@dataclass(frozen=True, slots=True)
class Call:
    """A vendor was called."""

    at: float
    now_ms: int
    """By the worker's own clock."""
    worker: Process
    deployment: Deployment
    work: Work
    text: str
    """Words that no other call would have found: two answers to one request can be told apart."""

    @property
    def request_id(self) -> UUID:
        return self.work.slip.request_id

    @property
    def attempt_id(self) -> UUID:
        return self.work.dispatch.attempt_id


class Vendors:
    """Everybody's vendors, and what they remember of being called."""

    def __init__(self, net: Net, configuration: Configuration) -> None:
        self.net = net
        self.deployments = tuple(d.id for d in configuration.deployments)
        vendors = tuple(v.id for v in configuration.vendors)
        self.calls: list[Call] = []
        self.moods: dict[str, Mood] = dict.fromkeys(vendors, WELL)
        self.black_holes: set[str] = set()
        """Deployments that take calls and never say anything."""
        self.bugs: set[UUID] = set()
        """Requests over which a translator stumbled."""
        self._servers = {vendor: Server(vendor, OSError, exposure=2) for vendor in vendors}

    def called(self, work: Work, station: Equipped, worker: Process, now_ms: int) -> Call:
        """Remember a call that begins now."""
        deployment, dispatch = station.target.deployment, work.dispatch
        text = f"call {len(self.calls)} answers {work.slip.request_id}."
        call = Call(self.net.loop.time(), now_ms, worker, deployment, work, text)
        self.calls.append(call)
        self.net.note("vendor call", deployment.id, work.slip.request_id, dispatch.n)
        return call

    async def answer(self, call: Call, *, stream: bool) -> Script:
        """How the call goes; the caller may not live to hear it. Raises OSError where the connection breaks."""
        chance, deployment = self.net.chance, call.deployment
        if deployment.id in self.black_holes:
            self.net.note("black hole", deployment.id)
            await self.net.loop.create_future()
        kind = chance.weighted(tuple(self.moods[deployment.vendor].items()))
        if kind not in (None, FailureKind.INTERRUPTED, *ERRORS):  # said by the translator, which sends nothing
            raise failed(kind, f"simulated: {kind}")
        if chance.happens(0.12):
            await asyncio.sleep(chance.between(0.05, 25))
        script = self._script(call.text, kind, stream=stream)
        return await self.net.call(self._servers[deployment.vendor], lambda: script)

    def _script(self, text: str, kind: FailureKind | None, *, stream: bool) -> Script:
        chance = self.net.chance
        refused = kind is FailureKind.REFUSED and chance.happens(0.5)
        if kind not in (None, FailureKind.INTERRUPTED) and not refused:
            return failing(kind, chance)
        finish, cut = "content_filter" if refused else "stop", kind is FailureKind.INTERRUPTED
        return streamed(text, finish, chance, cut=cut) if stream else whole(text, finish, cut=cut)


class SimAttempts(Attempts):
    """Makes attempts at simulated vendors, each over a wire of its own."""

    def __init__(
        self, vendors: Vendors, worker: Process, clock: Clock, configuration: Configuration, publisher: Publisher
    ) -> None:
        self._vendors, self._worker, self._clock = vendors, worker, clock
        self._configuration, self._publisher = configuration, publisher

    async def make(self, work: Work, body: bytes, station: Equipped) -> Made:
        assert body, "a worker is given the caller's body"
        clock = self._clock
        call = self._vendors.called(work, station, self._worker, clock.now_ms())
        if self._vendors.net.chance.happens(BUGS):
            self._vendors.bugs.add(call.request_id)
            raise ValueError("a translator has a bug")
        wire = Wire(lambda stream: self._vendors.answer(call, stream=stream))
        vendor = OpenSource()

        def deltas(work: Work, call_id: str, deployment: Deployment) -> KafkaDeltas:
            return KafkaDeltas(self._publisher, clock, work, call_id, deployment)

        made = Attempts(vendor, VendorCall(wire, clock.now_ms), self._configuration, clock, deltas)
        return await made.make(work, body, station)
