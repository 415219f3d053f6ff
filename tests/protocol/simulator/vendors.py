"""Vendors: each in a mood that changes, each call logged when it begins, for from there on it costs money.

A call is an `Attempts.make` of the worker: what lies below it (translators, HTTP) is tested against the simulators.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import msgspec
from simulator.loop import Process
from simulator.net import Net, Server

from allweather.contracts.config import Deployment
from allweather.contracts.failures import FailureKind
from allweather.contracts.slip import Usage
from allweather.provider_worker import results
from allweather.provider_worker.attempts import Attempts, Made
from allweather.provider_worker.rates import Allowances
from allweather.provider_worker.results import Seen
from allweather.provider_worker.stations import Equipped
from allweather.provider_worker.wire import Answer, Failure
from allweather.provider_worker.work import Work
from allweather.runtime.clock import Clock

Mood = Mapping[FailureKind | None, float]
"""How likely each end of a call is; None is an answer."""

WELL: Mood = {None: 1.0}
FLAKY: Mood = {None: 0.5, FailureKind.UNAVAILABLE: 0.3, FailureKind.RATE_LIMITED: 0.15, FailureKind.INTERRUPTED: 0.05}
DOWN: Mood = {FailureKind.UNAVAILABLE: 0.9, FailureKind.RATE_LIMITED: 0.1}
ODD: Mood = {None: 0.3} | {kind: 0.7 / 7 for kind in FailureKind if kind.is_attempt and kind != FailureKind.UNAVAILABLE}
MOODS = ((WELL, 0.3), (FLAKY, 0.15), (DOWN, 0.4), (ODD, 0.15))


@dataclass(frozen=True, slots=True)
class Call:
    """A vendor was called."""

    at: float
    now_ms: int
    """By the worker's own clock."""
    worker: Process
    deployment: Deployment
    request_id: UUID
    attempt_id: str
    n: int
    episode: int


class Vendors:
    """Everybody's vendors, and what they remember of being called."""

    def __init__(self, net: Net, vendors: tuple[str, ...]) -> None:
        self.net = net
        self.calls: list[Call] = []
        self.moods: dict[str, Mood] = dict.fromkeys(vendors, WELL)
        self._servers = {vendor: Server(vendor, OSError, exposure=2) for vendor in vendors}

    async def call(self, call: Call) -> tuple[str, FailureKind | None]:
        """The id of the call, and how it ends; the caller may not live to hear it."""
        chance = self.net.chance
        self.calls.append(call)
        call_id = f"call-{len(self.calls)}"
        kind = chance.weighted(tuple(self.moods[call.deployment.vendor].items()))
        self.net.note("vendor call", call.deployment.id, call.request_id, call.n)
        if chance.happens(0.12):
            await asyncio.sleep(chance.between(0.05, 25))
        try:
            return await self.net.call(self._servers[call.deployment.vendor], lambda: (call_id, kind))
        except OSError:
            return call_id, FailureKind.UNAVAILABLE


class SimAttempts(Attempts):
    """Makes attempts at simulated vendors."""

    def __init__(self, vendors: Vendors, worker: Process, clock: Clock) -> None:
        self._vendors, self._worker, self._clock = vendors, worker, clock

    async def make(self, work: Work, body: bytes, station: Equipped) -> Made:
        assert body, "a worker is given the caller's body"
        started_ms = self._clock.now_ms()
        call_id, kind = await self._vendors.call(self._call(work, station, started_ms))
        refused = kind is FailureKind.REFUSED and self._vendors.net.chance.happens(0.5)
        answer = _answer(work.slip.request_id, call_id, refused=refused) if kind is None or refused else None
        ended = results.result(
            work,
            started_ms,
            max(started_ms, self._clock.now_ms()),
            answer=answer,
            failure=None if kind is None or refused else _failure(kind, self._vendors.net),
            seen=Seen(call_id=call_id, first_token_ms=50),
        )
        return Made(ended, answer and answer.rendered, Allowances())

    def _call(self, work: Work, station: Equipped, now_ms: int) -> Call:
        at, dispatch = self._vendors.net.loop.time(), work.dispatch
        return Call(
            at,
            now_ms,
            self._worker,
            station.target.deployment,
            work.slip.request_id,
            str(dispatch.attempt_id),
            dispatch.n,
            dispatch.episode,
        )


def _answer(request: UUID, call_id: str, *, refused: bool) -> Answer:
    """Words that no other call would have found: two answers to one request can be told apart."""
    rendered = msgspec.json.encode({"choices": [{"message": {"content": f"{request} {call_id}"}}]})
    return Answer(rendered, "content_filter" if refused else "stop", Usage(input_tokens=10, output_tokens=5))


def _failure(kind: FailureKind, net: Net) -> Failure:
    retry_after = round(net.chance.between(500, 30_000)) if kind is FailureKind.RATE_LIMITED else None
    return Failure(kind, f"simulated: {kind}", retry_after_ms=retry_after)
