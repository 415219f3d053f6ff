"""What one router knows of the health of all deployments: state without I/O, fed with results, asked by decisions.

`adapters/health.py` shares the breakers between replicas. What is lost with the process costs some calls, nothing else.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol
from uuid import UUID

from allweather.contracts.config import Configuration, Deployment
from allweather.contracts.failures import FailureKind
from allweather.contracts.records import AttemptResult, Dispatch
from allweather.router import breaker
from allweather.router.breaker import Breaker, BreakerSettings, Observation, Status
from allweather.router.budget import RetryBudget
from allweather.router.inflight import InFlight

_OF_THE_CREDENTIAL = frozenset({FailureKind.AUTH_FAILED, FailureKind.QUOTA_EXHAUSTED})
_PUSHED_BACK = frozenset({FailureKind.NOT_CALLED, FailureKind.RATE_LIMITED})
_PROBE_GRACE_MS = 5_000


class Condition(NamedTuple):
    """What a decision sees of one deployment."""

    state: Status = "closed"
    excluded: str | None = None
    """Why it may not be called now."""
    probe: bool = False
    """It may be called, but this call is the one that finds out whether it is well again."""
    crowded: bool = False
    """Its slow start leaves no room for another fresh request."""
    spoken_for: bool = False
    """As many released requests as may be are on their way to it."""


class Health(Protocol):
    """The health vector that a decision takes as input."""

    def condition(self, deployment: Deployment, now_ms: int) -> Condition: ...

    def may_repeat(self, group: str, now_ms: int) -> bool:
        """Whether the retry budget allows another call to a group that has failed this request."""
        ...


class Probe(NamedTuple):
    """A call that is to find out whether something is well again."""

    keys: tuple[str, ...]
    """The breakers that it probes."""
    until_ms: int
    """Until when its result is waited for before another probe may be made."""


def credential_key(deployment: Deployment) -> str:
    """The name under which the state of a deployment's credential is kept."""
    return f"credential:{deployment.credential}"


@dataclass(slots=True)
class HealthBoard:
    """Breakers, calls in flight, probes at hand and retry budgets of one replica."""

    config: Configuration
    settings: BreakerSettings
    replicas: int = 1
    """How many routers share the limits."""
    breakers: dict[str, Breaker] = field(default_factory=dict[str, Breaker])
    unshared: dict[str, list[Observation]] = field(default_factory=dict[str, list[Observation]])
    """Observations that are applied here and that the other replicas do not know yet, by breaker."""
    leases: set[str] = field(default_factory=set[str])
    """Breakers whose next probe this replica may make."""
    probing: dict[UUID, Probe] = field(default_factory=dict[UUID, Probe])
    """Attempts that are probes."""
    lost_vendors: frozenset[str] = frozenset()
    """Vendors of which no worker runs."""
    recovered_at_ms: int | None = None
    """Set when nothing could be learned at the start: everything is then assumed to have just recovered."""
    released_share: float = 0.5
    """How much of what a deployment bears is for requests that had been parked; the rest is for fresh ones."""
    _calls: dict[str, InFlight] = field(default_factory=dict[str, InFlight])
    _budgets: defaultdict[str, RetryBudget] = field(default_factory=lambda: defaultdict(RetryBudget))

    def condition(self, deployment: Deployment, now_ms: int) -> Condition:
        """Whether and how the deployment may be called at `now_ms`."""
        if deployment.vendor in self.lost_vendors:
            return Condition("out", "worker_lost")
        own, credential = self._breakers_of(deployment, now_ms)
        if own.status == "open":
            return Condition("open", "breaker_open")
        if credential.status != "closed":
            return self._under_probe(deployment, credential_key(deployment), "credential_out", now_ms)
        if own.status != "closed":
            return self._under_probe(deployment, deployment.id, "misconfigured", now_ms)
        ramp = self._ramp(own, credential, now_ms)
        calls = self.calls(deployment)
        return Condition(
            crowded=ramp < 1 and self._crowded(calls, ramp),
            spoken_for=calls.released >= self._for_released(calls, ramp),
        )

    def calls(self, deployment: Deployment) -> InFlight:
        """The calls in flight from here, and how many the deployment bears at once from all replicas together."""
        known = self._calls.get(deployment.id)
        if known is None:
            limits = deployment.concurrency
            known = self._calls[deployment.id] = InFlight(float(limits.start), float(limits.max))
        return known

    def release_room(self, deployment: Deployment, now_ms: int) -> int:
        """How many more parked requests may be on their way to it."""
        condition = self.condition(deployment, now_ms)
        if condition.excluded or condition.spoken_for:
            return 0
        if condition.probe:
            return 1
        calls = self.calls(deployment)
        ramp = self._ramp(*self._breakers_of(deployment, now_ms), now_ms)
        return math.ceil(self._for_released(calls, ramp) - calls.released)

    def may_repeat(self, group: str, now_ms: int) -> bool:
        return self._budgets[group].allows(now_ms)

    def released(self, request: UUID, deployment: Deployment, now_ms: int) -> None:
        """A parked request was let go and will soon be sent to `deployment`."""
        self.calls(deployment).let_go(request, now_ms)

    def reassigned(self) -> None:
        """Other partitions are ours now, and released requests may come to another replica: they keep no place here."""
        for calls in self._calls.values():
            calls.reassigned()

    def dispatched(self, call: Dispatch, *, repeat: bool, released: bool) -> None:
        """A call was decided: it is in flight, may use a probe, earns for or is charged to the retry budget."""
        deployment = self.config.deployment(call.deployment)
        self.calls(deployment).began(call.attempt_id, call.dispatched_at_ms, released=released)
        budget = self._budgets[deployment.group]
        budget.spend(call.dispatched_at_ms) if repeat else budget.earn()
        if call.probe:
            keys = tuple(self.leases & {call.deployment, credential_key(deployment)})
            self.leases.difference_update(keys)
            until = call.dispatched_at_ms + call.first_token_timeout_ms + _PROBE_GRACE_MS
            self.probing[call.attempt_id] = Probe(keys, until)

    def arrived(self, request: UUID) -> None:
        """A released request is here: from now on its call counts, not its release."""
        for calls in self._calls.values():
            calls.arrived(request)

    def attempted(self, result: AttemptResult) -> None:
        """A call ended: remember what it says of its deployment and credential."""
        self.probing.pop(result.attempt_id, None)
        try:
            deployment = self.config.deployment(result.deployment)
        except KeyError:  # the configuration no longer has it
            return
        self._count(result, self.calls(deployment))
        credential = credential_key(deployment)
        seen = Observation(result.ended_at_ms, result.dispatched_at_ms, result.failure, result.first_token_ms)
        if result.failure in _OF_THE_CREDENTIAL:
            self._observe(credential, seen)
            return
        if self.breaker(credential, seen.at_ms).status == "out":
            self._observe(credential, seen)
        self._observe(result.deployment, seen)

    def adopt(self, key: str, shared: Breaker, now_ms: int) -> None:
        """Take over what the replicas know together, with what only this one has seen applied to it."""
        self.breakers[key] = breaker.step(shared, self.unshared.get(key, ()), now_ms, self.settings)

    def wanted_leases(self, now_ms: int) -> Sequence[str]:
        """What could be probed now, if this replica held the lease."""
        busy = {key for probe in self.probing.values() for key in probe.keys}
        unwell = [key for key, state in self.breakers.items() if state.status != "closed"]
        return [
            key
            for key in unwell
            if key not in busy and key not in self.leases and breaker.wants_probe(self.breaker(key, now_ms), now_ms)
        ]

    def forget(self, now_ms: int) -> None:
        """Drop calls and probes that are not waited for any longer."""
        for calls in self._calls.values():
            calls.forget(now_ms)
        for attempt in [a for a, probe in self.probing.items() if probe.until_ms < now_ms]:
            del self.probing[attempt]

    def breaker(self, key: str, now_ms: int) -> Breaker:
        """The breaker of a deployment or credential at `now_ms`."""
        state = self.breakers.get(key)
        if state is None:
            state = self.breakers[key] = breaker.new(key, recovered_at_ms=self.recovered_at_ms)
        elif state.status == "open" and now_ms >= state.until_ms:
            state = self.breakers[key] = breaker.step(state, (), now_ms, self.settings)
        return state

    def _breakers_of(self, deployment: Deployment, now_ms: int) -> tuple[Breaker, Breaker]:
        """Its own, and that of its credential."""
        return self.breaker(deployment.id, now_ms), self.breaker(credential_key(deployment), now_ms)

    def _under_probe(self, deployment: Deployment, key: str, reason: str, now_ms: int) -> Condition:
        state = self.breaker(key, now_ms)
        if not breaker.wants_probe(state, now_ms):
            return Condition(state.status, reason)
        if key not in self.leases:
            return Condition(state.status, "probing")
        return Condition(state.status, probe=True, spoken_for=self.calls(deployment).released > 0)

    def _count(self, result: AttemptResult, calls: InFlight) -> None:
        calls.ended(result.attempt_id)
        if result.failure is None:
            calls.answered()
        elif result.failure in _PUSHED_BACK:
            calls.pushed_back(result.ended_at_ms)

    def _ramp(self, own: Breaker, credential: Breaker, now_ms: int) -> float:
        """The share of its limit that the slow start of a deployment and of its credential permit."""
        settings = self.settings
        return min(breaker.fraction(own, now_ms, settings), breaker.fraction(credential, now_ms, settings))

    def _crowded(self, calls: InFlight, ramp: float) -> bool:
        """Whether there is room for no more: neither any at all, nor in the share that is kept for fresh requests."""
        room = calls.limit * ramp / self.replicas
        return len(calls) >= room and calls.fresh >= max(1.0, room * (1 - self.released_share))

    def _for_released(self, calls: InFlight, ramp: float) -> float:
        """How many released requests may be under way at once; always one, or nothing would ever be let go."""
        return max(1.0, calls.limit * ramp * self.released_share / self.replicas)

    def _observe(self, key: str, seen: Observation) -> None:
        self.breakers[key] = breaker.step(self.breaker(key, seen.at_ms), (seen,), seen.at_ms, self.settings)
        self.unshared.setdefault(key, []).append(seen)


class Snapshot:
    """The board at one moment, for all decisions of a batch: each condition is found out once."""

    def __init__(self, board: HealthBoard) -> None:
        self._board = board
        self._conditions: dict[str, Condition] = {}

    def condition(self, deployment: Deployment, now_ms: int) -> Condition:
        known = self._conditions.get(deployment.id)
        if known is None:
            known = self._conditions[deployment.id] = self._board.condition(deployment, now_ms)
        return known

    def may_repeat(self, group: str, now_ms: int) -> bool:
        return self._board.may_repeat(group, now_ms)

    def dispatched(self, call: Dispatch) -> None:
        """The board has been told of another call: what it changes must be found out again."""
        if call.probe:
            self._conditions.clear()
        else:
            del self._conditions[call.deployment]
