"""Which candidate answers: a pure choice over the route's order, with the reason for every candidate left out.

The same inputs give the same `RoutingDecision`, so each recorded one can be made again from the log.
"""

from collections import Counter
from functools import lru_cache
from hashlib import blake2b
from typing import Final
from uuid import UUID

from allweather.contracts.config import Configuration, Deployment, Vendor
from allweather.contracts.failures import FailureKind
from allweather.contracts.records import CandidateView, RoutingDecision
from allweather.contracts.slip import Attempt, Capability, Dialect, Parameter, Priority, Slip
from allweather.router.breaker import Status
from allweather.router.health import Condition, Health

ATTEMPTS_AN_EPISODE: Final = 6
ATTEMPTS_A_GROUP: Final = 3
DISPATCHES_AN_EPISODE: Final = 12
RETRY_AFTER_CAP_MS: Final = 600_000

REGION, VENDOR, CAPABILITY, PARAMETER, CONTEXT = "region", "vendor", "capability", "parameter", "context"
FOR_EVER: Final = frozenset({REGION, VENDOR, CAPABILITY, PARAMETER, CONTEXT})
"""Exclusions that no waiting changes."""
NO_ROUTE: Final = "no_route"
EPISODE_OVER: Final = "episode_over"
SLOW_START: Final = "slow_start"
"""No room at the moment: some calls later there is."""


def seed_of(request: UUID, position: int) -> int:
    """The randomness of one decision: the same wherever and whenever it is made."""
    return int.from_bytes(blake2b(request.bytes, digest_size=6, key=position.to_bytes(2, "big")).digest(), "big")


def choose(slip: Slip, config: Configuration, health: Health, *, now_ms: int, seed: int) -> RoutingDecision:
    """The first eligible candidate in the route's order; none while all are excluded, or the episode is used up.

    A request that can wait, or that has another candidate, may be the probe of one that has been unwell.
    """
    deployments = candidates(slip, config)
    conditions = [health.condition(d, now_ms) for d in deployments]
    reasons = _reasons(slip, deployments, conditions, config, health, now_ms)
    chosen = _pick(slip, conditions, reasons)
    considered = zip(deployments, conditions, reasons, strict=True)
    return RoutingDecision(
        config_digest=config.digest,
        now_ms=now_ms,
        seed=seed,
        considered=tuple(_view(d.id, c.state, reason) for d, c, reason in considered),
        chosen=None if chosen is None else deployments[chosen].id,
        reason=_none_because(reasons) if chosen is None else _CHOSEN[conditions[chosen].probe],
    )


def candidates(slip: Slip, config: Configuration) -> list[Deployment]:
    """The deployments that the route names, most preferred first; none when there is no such route."""
    route = config.route(slip.route)
    return [config.deployment(i) for i in route.candidates] if route else []


def is_probe(decision: RoutingDecision) -> bool:
    """Whether the chosen candidate is called to find out if it is well again."""
    return any(c.deployment == decision.chosen and c.state in ("half_open", "out") for c in decision.considered)


def never(decision: RoutingDecision) -> frozenset[str]:
    """Why no candidate can ever serve the request; empty when waiting may help."""
    reasons = frozenset(c.excluded or "" for c in decision.considered)
    if not reasons:
        return frozenset({NO_ROUTE})
    return reasons if reasons <= FOR_EVER else frozenset()


def is_repeat(slip: Slip, deployment: Deployment, config: Configuration) -> bool:
    """Whether its group has been called in this episode already: then the call is charged to the retry budget."""
    return bool(slip.attempts) and deployment.group in _calls_by_group(slip, config)


def retry_after_until(attempt: Attempt) -> int:
    """Until when the vendor asked not to be called again; 0 when it asked nothing."""
    if attempt.retry_after_ms is None:
        return 0
    return attempt.ended_at_ms + min(max(0, attempt.retry_after_ms), RETRY_AFTER_CAP_MS)


def _reasons(
    slip: Slip,
    deployments: list[Deployment],
    conditions: list[Condition],
    config: Configuration,
    health: Health,
    now_ms: int,
) -> list[str | None]:
    """For each deployment why it is left out, None for the eligible ones."""
    reasons = _permanent(slip, deployments, config)
    if slip.attempts:
        reasons = _learned(slip, deployments, reasons, now_ms)
    calls = _calls_by_group(slip, config)
    released = slip.parks > 0
    for i, (deployment, condition) in enumerate(zip(deployments, conditions, strict=True)):
        if reasons[i] is not None:
            continue
        if condition.excluded:
            reasons[i] = condition.excluded
        elif condition.spoken_for if released else condition.crowded:
            reasons[i] = SLOW_START
        elif calls:
            reasons[i] = _repeat_reason(calls.get(deployment.group, 0), deployment.group, health, now_ms)
    return reasons


def _learned(slip: Slip, deployments: list[Deployment], reasons: list[str | None], now_ms: int) -> list[str | None]:
    """The reasons, with those that the request's attempts give."""
    if _episode_over(slip):
        return [reason or EPISODE_OVER for reason in reasons]
    told = {a.deployment: "retry_after" for a in slip.attempts if retry_after_until(a) > now_ms}
    told |= {a.deployment: "tried" for a in slip.this_episode}
    return [reason or told.get(d.id) for d, reason in zip(deployments, reasons, strict=True)]


def _permanent(slip: Slip, deployments: list[Deployment], config: Configuration) -> list[str | None]:
    """For each deployment why it can never serve the request, None when it can."""
    verdict = slip.verdict
    reasons = [_not_permitted(d, verdict.regions, verdict.vendors, slip.needs.capabilities) for d in deployments]
    if slip.needs.parameters or slip.attempts:
        unable = _refuted_groups(slip, config)
        for i, deployment in enumerate(deployments):
            if reasons[i] is None and (deployment.group in unable or lacking(deployment, slip, config)):
                reasons[i] = PARAMETER
    floor = _refuted_window(slip, config) if slip.attempts else 0
    windows = [d.context_tokens for d, reason in zip(deployments, reasons, strict=True) if reason is None]
    # The estimate is an upper bound: when no window seems large enough, the largest is tried all the same.
    enough = min(slip.needs.window_tokens, max([w for w in windows if w > floor], default=0))
    if not windows or min(windows) >= max(enough, floor + 1):
        return reasons
    return [
        reason or (CONTEXT if d.context_tokens <= floor or d.context_tokens < enough else None)
        for d, reason in zip(deployments, reasons, strict=True)
    ]


def permitted(deployment: Deployment, slip: Slip) -> bool:
    """Whether the verdict lets the deployment see the request, and it can do what the request needs."""
    verdict = slip.verdict
    return _not_permitted(deployment, verdict.regions, verdict.vendors, slip.needs.capabilities) is None


def _not_permitted(
    deployment: Deployment,
    regions: tuple[str, ...] | None,
    vendors: tuple[str, ...] | None,
    capabilities: tuple[Capability, ...],
) -> str | None:
    if regions is not None and deployment.processed_in not in regions:
        return REGION
    if vendors is not None and deployment.vendor not in vendors:
        return VENDOR
    return None if deployment.offers(capabilities) else CAPABILITY


def lacking(deployment: Deployment, slip: Slip, config: Configuration) -> tuple[Parameter, ...]:
    """What the request asks for and the deployment cannot be asked, as far as the catalogue says."""
    wanted = slip.needs.parameters
    if not wanted:
        return ()
    vendor = config.vendor(deployment.vendor)
    return tuple(wish for wish in wanted if wish in deployment.refuses or not _can_say(vendor, wish, slip.dialect))


def _can_say(vendor: Vendor, wish: Parameter, dialect: Dialect) -> bool:
    if wish is Parameter.NATIVE:
        return dialect in vendor.dialects
    return vendor.parameters is None or wish in vendor.parameters


def _refuted_groups(slip: Slip, config: Configuration) -> frozenset[str]:
    """The vendors and models that have been found unable to do what the request asks for."""
    refuted = (_known(a.deployment, config) for a in slip.attempts if a.failure is FailureKind.UNSUPPORTED)
    return frozenset(deployment.group for deployment in refuted if deployment)


def _refuted_window(slip: Slip, config: Configuration) -> int:
    """The largest context window that a vendor has found too small for this request."""
    refuted = (_known(a.deployment, config) for a in slip.attempts if a.failure is FailureKind.TOO_LONG)
    return max((d.context_tokens for d in refuted if d), default=0)


def _episode_over(slip: Slip) -> bool:
    episode = slip.this_episode
    calls = sum(1 for a in episode if a.failure is None or a.failure.is_attempt)
    return calls >= ATTEMPTS_AN_EPISODE or len(episode) >= DISPATCHES_AN_EPISODE


def _calls_by_group(slip: Slip, config: Configuration) -> dict[str, int]:
    calls: dict[str, int] = {}
    for attempt in slip.this_episode:
        deployment = _known(attempt.deployment, config)
        if deployment and (attempt.failure is None or attempt.failure.is_attempt):
            calls[deployment.group] = calls.get(deployment.group, 0) + 1
    return calls


def _repeat_reason(calls: int, group: str, health: Health, now_ms: int) -> str | None:
    if calls >= ATTEMPTS_A_GROUP:
        return "group_limit"
    return "retry_budget" if calls and not health.may_repeat(group, now_ms) else None


def _known(deployment_id: str, config: Configuration) -> Deployment | None:
    """A deployment of an earlier attempt may have left the configuration since."""
    try:
        return config.deployment(deployment_id)
    except KeyError:
        return None


def _pick(slip: Slip, conditions: list[Condition], reasons: list[str | None]) -> int | None:
    """The candidate to call, by its place. Marks probes that this request must not make."""
    eligible = [i for i, reason in enumerate(reasons) if reason is None]
    probes = [i for i in eligible if conditions[i].probe]
    if probes and (slip.priority is Priority.BULK or slip.parks):
        return probes[0]
    if eligible and len(probes) == len(eligible):
        for i in probes:
            reasons[i] = "probe_only"
        return None
    return eligible[0] if eligible else None


@lru_cache(maxsize=4096)
def _view(deployment: str, state: Status, excluded: str | None) -> CandidateView:
    return CandidateView(deployment=deployment, state=state, excluded=excluded)


_CHOSEN = {
    False: "the first eligible candidate in the route's order",
    True: "it has been unwell, and this request finds out whether it is well again",
}


def _none_because(reasons: list[str | None]) -> str:
    if not reasons:
        return "the configuration has no such route"
    counts = Counter(reason for reason in reasons if reason)
    return "no candidate is eligible: " + ", ".join(f"{n} {reason}" for reason, n in counts.most_common())
