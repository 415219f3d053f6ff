"""One vendor fails, in every way it can, while the others are well; or all of them say that they are asked too much."""

import asyncio
from collections import Counter
from functools import partial
from typing import Final

from lab.lab import Lab
from lab.scenario import CONFIG, Conditions, Scenario

from allweather.drills.acts import NORMAL
from allweather.drills.checker import Violation
from allweather.drills.evidence import Evidence
from allweather.drills.failing import Stretch, course
from allweather.drills.journal import now_ms
from allweather.vendorsim.faults import (
    AnyFault,
    BodyError200,
    Cut,
    Hang,
    RateLimit,
    Refuse,
    SlowFirstToken,
    Status,
)

_VENDOR: Final = "anthropic"
_FIRST: Final = "anthropic/claude-haiku-4-5"
"""The deployment that every request is sent to first."""
_FIRST_TOKEN_S: Final = 10.0
"""How long an interactive request waits for content: so much later a silent vendor is found ill."""
_OPENED_WITHIN_S: Final = 10.0
_ANSWERED: Final = 0.999
_WAYS: Final[dict[str, tuple[AnyFault, float]]] = {
    "refuses": (Refuse(vendor=_VENDOR), _OPENED_WITHIN_S),
    "503": (Status(vendor=_VENDOR, status=503), _OPENED_WITHIN_S),
    "hangs": (Hang(vendor=_VENDOR), _OPENED_WITHIN_S + _FIRST_TOKEN_S),
    "crawls": (SlowFirstToken(vendor=_VENDOR, seconds=60), _OPENED_WITHIN_S + _FIRST_TOKEN_S),
    "error_in_200": (BodyError200(vendor=_VENDOR), _OPENED_WITHIN_S),
    "cuts": (Cut(vendor=_VENDOR), _OPENED_WITHIN_S),
}
"""How a vendor fails, and within which time that must be noticed."""

_AS_BEFORE: Final = 20
"""Good calls a second, of thirty requests."""

_UP_DOWN_S: Final = 10.0
_CALLS_A_REQUEST: Final = 1.5
_SHORTEST_OPEN_S: Final = 19.2
"""A breaker that opens again stays open for 24 s, give or take a fifth."""

_PER_SECOND: Final = 4.0
_EXCESS: Final = 1.05
_NONSENSE: Final = ("", "-5", "soon", "NaN", "1e308", "99999999999", "0", "Wed, 21 Oct 2015 07:28:00 GMT", "1_000")
"""What vendors write where `Retry-After` should be seconds or a date to come."""


async def one_after_another(lab: Lab) -> None:
    """The vendor that everybody asks first fails in six ways; after each it is well for a while."""
    for way, (fault, within) in _WAYS.items():
        lab.say(f"{_VENDOR} {way}")
        began = now_ms()
        await lab.stage.simulator.put_faults(*NORMAL, fault)
        await lab.hold(lab.seconds(90, 35))
        stretch = Stretch(_FIRST, began, now_ms())
        lab.proofs.append(partial(_one_out, lab, way, within, stretch))
        await lab.stage.simulator.put_faults(*NORMAL)
        await _well_again(lab)


async def up_and_down(lab: Lab) -> None:
    """The first vendor answers for ten seconds, and for ten seconds it does not, and so on."""
    began = now_ms()
    for _ in range(int(lab.seconds(600, 60) / _UP_DOWN_S / 2)):
        await lab.stage.simulator.put_faults(*NORMAL, Status(vendor=_VENDOR, status=503))
        await lab.hold(_UP_DOWN_S)
        await lab.stage.simulator.put_faults(*NORMAL)
        await lab.hold(_UP_DOWN_S)
    lab.proofs.append(partial(_flapped, lab, Stretch(_FIRST, began, now_ms())))


async def too_much(lab: Lab) -> None:
    """Every vendor bears less than it is asked, and says for how long in ways that no clock understands."""
    for text in _NONSENSE:
        lab.say(f"429 with Retry-After: {text!r}")
        limit = RateLimit(requests_per_second=_PER_SECOND, headers={"retry-after": text, "retry-after-ms": text})
        began = now_ms()
        await lab.stage.simulator.put_faults(*NORMAL, limit)
        await lab.hold(lab.seconds(30, 8))
        lab.proofs.append(partial(_stormed, lab, text, began, now_ms()))
    await lab.stage.simulator.put_faults(*NORMAL)


async def _well_again(lab: Lab) -> None:
    """Until the vendor is called nearly as before: its breaker has closed, and its slow start bears what is asked."""
    async with asyncio.timeout(180):
        while await _good_calls_of_last_second(lab) < _AS_BEFORE:
            await asyncio.sleep(1)


async def _good_calls_of_last_second(lab: Lab) -> int:
    stats = await lab.stage.simulator.stats()
    last = now_ms() // 1000 - 1
    return sum(
        calls.get("200", 0)
        for second in stats.seconds
        if second.second == last
        for target, calls in second.calls.items()
        if target.startswith(_VENDOR)
    )


def _one_out(lab: Lab, way: str, within: float, stretch: Stretch, evidence: Evidence) -> list[Violation]:
    seen, figures = course(evidence, stretch), lab.figures
    figures.at_least(f"{way}_answered_at_once", seen.answered, _ANSWERED)
    figures.within(f"{way}_opened_s", seen.opened_s, within)
    figures.at_most(f"{way}_calls_while_ill", seen.calls_while_ill, seen.open_periods)
    return []


def _flapped(lab: Lab, stretch: Stretch, evidence: Evidence) -> list[Violation]:
    seen, figures = course(evidence, stretch), lab.figures
    figures.at_most("calls_per_request", seen.calls_per_request, _CALLS_A_REQUEST)
    figures.at_least("answered_at_once", seen.answered, _ANSWERED)
    figures.at_most("opened", seen.open_periods, (stretch.ended_ms - stretch.began_ms) / 1000 / _SHORTEST_OPEN_S + 1)
    return []


def _stormed(lab: Lab, text: str, began_ms: int, ended_ms: int, evidence: Evidence) -> list[Violation]:
    """Calls of the vendor that had most, against what it bears: its rate, and the second's worth that it saves up."""
    calls = Counter(call.vendor for call in evidence.calls if began_ms <= call.at_ms < ended_ms)
    bears = _PER_SECOND * ((ended_ms - began_ms) / 1000 + 1)
    lab.figures.at_most(f"calls_by_limit_{text!r}", max(calls.values()) / bears, _EXCESS)
    return []


SCENARIOS = (
    Scenario("one-vendor-out", "the vendor asked first fails in six ways, one after another", one_after_another),
    Scenario("vendor-flaps", "the vendor asked first is well for 10 s and ill for 10 s, for ten minutes", up_and_down),
    Scenario(
        "rate-limit-storm",
        "every vendor bears a half of what it is asked, and its Retry-After is nonsense",
        too_much,
        Conditions(config_dir=CONFIG / "three-tenants", settle_within_s=300),
    ),
)
