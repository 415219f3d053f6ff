"""Whether a deployment (or a credential) may be called: a pure state machine over what its calls showed.

closed --(too many failures)--> open --(time)--> half_open --(three good probes)--> closed, in slow start
any    --(misconfigured, auth_failed, quota_exhausted)--> out --(one good probe)--> closed, in slow start
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, Self
from zlib import crc32

import msgspec

from allweather.contracts.failures import FailureKind

Status = Literal["closed", "open", "half_open", "out"]

OUT = frozenset({FailureKind.MISCONFIGURED, FailureKind.AUTH_FAILED, FailureKind.QUOTA_EXHAUSTED})
_UNCALLED = frozenset({FailureKind.NOT_CALLED, FailureKind.WORKER_LOST, FailureKind.UNSUPPORTED})
"""What proves nothing: no call was made, or none that could have been answered."""
_SILENT = _UNCALLED | {FailureKind.RATE_LIMITED}
"""What says nothing of a deployment's own health."""


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """The numbers of the breaker. Times in milliseconds."""

    window_ms: int = 30_000
    min_calls: int = 10
    failure_share: float = 0.5
    slow_share: float = 0.8
    consecutive: int = 5
    slow_ms: int = 10_000
    """A first token later than this, and than four times the usual p95, is slow."""
    first_open_ms: int = 15_000
    open_ms: int = 24_000
    jitter: float = 0.2
    forget_ms: int = 600_000
    """After so long without opening, the next time is a first time again."""
    probe_every_ms: int = 60_000
    """How often something that is out is tried."""
    successes_to_close: int = 3
    slow_start_ms: int = 120_000
    slow_start_floor: float = 0.1

    def shortened(self, factor: float) -> Self:
        """The same, with the waits multiplied by `factor` (at most 1): for a demonstration."""
        return replace(
            self,
            first_open_ms=round(self.first_open_ms * factor),
            open_ms=round(self.open_ms * factor),
            probe_every_ms=round(self.probe_every_ms * factor),
            slow_start_ms=round(self.slow_start_ms * factor),
        )


class Observation(msgspec.Struct, frozen=True):
    """How one call went: `kind` is None for an answer."""

    at_ms: int
    dispatched_at_ms: int
    kind: FailureKind | None = None
    first_token_ms: int | None = None


class Bucket(msgspec.Struct, frozen=True, array_like=True):
    """The calls that ended within one second."""

    second: int
    calls: int = 0
    failures: int = 0
    slow: int = 0


class Breaker(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that is remembered of one deployment or credential."""

    seed: int = 0
    """Spreads the waits of breakers that open together."""
    status: Status = "closed"
    since_ms: int = 0
    """When this status began. Calls dispatched earlier say nothing about a probe."""
    until_ms: int = 0
    """Open or out: when it may be probed."""
    buckets: tuple[Bucket, ...] = ()
    consecutive: int = 0
    """Failures since the last good call."""
    opens: int = 0
    """How often it opened without a long healthy time between."""
    successes: int = 0
    """Good probes in a row while half open."""
    recovered_at_ms: int | None = None
    """Where the slow start began."""
    p95_ms: float = 0.0
    """Running estimate of the first token's 95th percentile."""
    cause: FailureKind | None = None
    """What put it out."""


def new(key: str, *, recovered_at_ms: int | None = None) -> Breaker:
    """The state of something not seen before: closed; in slow start when nothing can be known of its past."""
    return Breaker(seed=crc32(key.encode()), recovered_at_ms=recovered_at_ms)


def step(state: Breaker, observations: Iterable[Observation], now: int, settings: BreakerSettings) -> Breaker:
    """The state at `now`, after `observations` in the order of their ends."""
    for seen in sorted(observations, key=_end):
        state = _observed(_at(state, seen.at_ms), seen, settings)
    return _at(state, now)


def fraction(state: Breaker, now: int, settings: BreakerSettings) -> float:
    """The share of its limit that a deployment may be given at `now`: less than 1 during the slow start."""
    if state.recovered_at_ms is None or settings.slow_start_ms == 0:
        return 1.0
    return min(1.0, max(settings.slow_start_floor, (now - state.recovered_at_ms) / settings.slow_start_ms))


def wants_probe(state: Breaker, now: int) -> bool:
    """Whether the next call to it must be a probe, and may be made."""
    return state.status == "half_open" or (state.status == "out" and now >= state.until_ms)


def _end(seen: Observation) -> int:
    return seen.at_ms


def _at(state: Breaker, now: int) -> Breaker:
    if state.status == "open" and now >= state.until_ms:
        return msgspec.structs.replace(state, status="half_open", since_ms=state.until_ms, successes=0)
    return state


def _observed(state: Breaker, seen: Observation, settings: BreakerSettings) -> Breaker:
    if seen.kind in OUT:
        return _put_out(state, seen, settings)
    match state.status:
        case "closed":
            return state if seen.kind in _SILENT else _counted(state, seen, settings)
        case "open":
            return state
        case "half_open":
            return _probed(state, seen, settings) if _is_probe(state, seen) else state
        case "out":
            return _tried(state, seen, settings) if _is_probe(state, seen) else state


def _is_probe(state: Breaker, seen: Observation) -> bool:
    return seen.dispatched_at_ms >= state.since_ms and seen.kind not in _UNCALLED


def _put_out(state: Breaker, seen: Observation, settings: BreakerSettings) -> Breaker:
    since = state.since_ms if state.status == "out" else seen.at_ms
    until = seen.at_ms + settings.probe_every_ms
    return _fresh(state, "out", since, until_ms=max(until, state.until_ms), cause=seen.kind)


def _tried(state: Breaker, seen: Observation, settings: BreakerSettings) -> Breaker:
    """A probe of something that is out. A vendor that is down says nothing of the credential: try again later."""
    if _failed(seen):
        return msgspec.structs.replace(state, until_ms=seen.at_ms + settings.probe_every_ms)
    return _closed(state, seen.at_ms)


def _probed(state: Breaker, seen: Observation, settings: BreakerSettings) -> Breaker:
    if _failed(seen):
        return _opened(state, seen.at_ms, settings)
    if seen.kind is FailureKind.RATE_LIMITED:
        return state
    successes = state.successes + 1
    if successes >= settings.successes_to_close:
        return _closed(state, seen.at_ms)
    return msgspec.structs.replace(state, successes=successes)


def _counted(state: Breaker, seen: Observation, settings: BreakerSettings) -> Breaker:
    failed = _failed(seen)
    call = Bucket(seen.at_ms // 1000, 1, int(failed), int(_is_slow(state, seen, settings)))
    state = msgspec.structs.replace(
        state,
        buckets=_with(state.buckets, call, settings),
        consecutive=state.consecutive + 1 if failed else 0,
        p95_ms=_percentile(state, seen, settings),
    )
    return _opened(state, seen.at_ms, settings) if _is_unwell(state, settings) else state


def _is_unwell(state: Breaker, settings: BreakerSettings) -> bool:
    if state.consecutive >= settings.consecutive:
        return True
    calls = failures = slow = 0
    for bucket in state.buckets:
        calls += bucket.calls
        failures += bucket.failures
        slow += bucket.slow
    return calls >= settings.min_calls and (
        failures >= settings.failure_share * calls or slow >= settings.slow_share * calls
    )


def _with(buckets: tuple[Bucket, ...], call: Bucket, settings: BreakerSettings) -> tuple[Bucket, ...]:
    """The window with one more call; buckets that have left it are dropped."""
    if buckets and buckets[-1].second == call.second:
        return (*buckets[:-1], _sum(buckets[-1], call))
    by_second = {b.second: b for b in buckets}
    by_second[call.second] = _sum(by_second.get(call.second, Bucket(call.second)), call)
    oldest = max(by_second) - settings.window_ms // 1000
    return tuple(by_second[second] for second in sorted(by_second) if second > oldest)


def _sum(a: Bucket, b: Bucket) -> Bucket:
    return Bucket(a.second, a.calls + b.calls, a.failures + b.failures, a.slow + b.slow)


def _failed(seen: Observation) -> bool:
    return seen.kind is not None and seen.kind.counts_against_breaker


def _is_slow(state: Breaker, seen: Observation, settings: BreakerSettings) -> bool:
    return seen.first_token_ms is not None and seen.first_token_ms > _slow_limit(state, settings)


def _slow_limit(state: Breaker, settings: BreakerSettings) -> float:
    return max(settings.slow_ms, 4 * state.p95_ms)


def _percentile(state: Breaker, seen: Observation, settings: BreakerSettings) -> float:
    """One step of a running quantile: up by 4.75 %, down by 0.25 %, so that it rests where one in twenty is above.

    A slow call counts as the limit that it broke: an outage must not redefine what is usual.
    """
    if seen.first_token_ms is None:
        return state.p95_ms
    value = min(float(seen.first_token_ms), _slow_limit(state, settings))
    if state.p95_ms == 0:
        return min(value, settings.slow_ms / 4)
    return round(state.p95_ms * (1.0475 if value > state.p95_ms else 0.9975), 3)


def _opened(state: Breaker, now: int, settings: BreakerSettings) -> Breaker:
    calm = state.status == "closed" and now - state.since_ms >= settings.forget_ms
    opens = 1 if calm else state.opens + 1
    wait = settings.first_open_ms if opens == 1 else settings.open_ms
    spread = 1 + settings.jitter * (2 * _chance(state.seed, now) - 1)
    return _fresh(state, "open", now, until_ms=now + round(wait * spread), opens=opens)


def _chance(seed: int, now: int) -> float:
    """A number in [0, 1) that anybody can compute again."""
    return crc32(f"{seed}:{now}".encode()) / 2**32


def _closed(state: Breaker, now: int) -> Breaker:
    return _fresh(state, "closed", now, recovered_at_ms=now)


def _fresh(state: Breaker, status: Status, since: int, **changes: Any) -> Breaker:
    """Another status: its window starts empty, what is known over longer times stays."""
    kept: dict[str, Any] = {"seed": state.seed, "opens": state.opens, "p95_ms": state.p95_ms}
    return Breaker(status=status, since_ms=since, **(kept | changes))
