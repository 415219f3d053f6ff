"""Kafka is away, wholly or in part."""

from time import monotonic

from lab.lab import Lab
from lab.scenario import Conditions, Scenario

from allweather.drills.journal import now_ms

_KILLS = 20
_OUTAGES_S = (0.5, 2.0, 5.0, 12.0, 45.0)
"""From shorter than a session to longer than a request timeout of the client (40 s)."""
_REFUSED_WITHIN_S = 6.0
_RECOVERED_WITHIN_S = 60.0
_QUORUM_LOST_S = 60.0


async def killed_again_and_again(lab: Lab) -> None:
    """One broker, killed while requests flow, and started again after a while."""
    recovered: list[float] = []
    for number in range(lab.times(_KILLS)):
        await lab.hold(lab.chance.uniform(1, 5))
        seconds = _OUTAGES_S[number % len(_OUTAGES_S)] if lab.thorough else (5.0, 12.0)[number]
        lab.say(f"SIGKILL kafka-1 for {seconds:g} s ({number + 1})")
        recovered.append(await _out(lab, seconds, "kafka-1"))
    lab.figures.note("kills", len(recovered))
    _note_recovery(lab, recovered)


async def of_three(lab: Lab) -> None:
    """The busiest broker of three dies; later two of three, and with them the quorum."""
    lab.say("SIGKILL kafka-1, one of three")
    at = now_ms()
    await lab.servers.kill("kafka-1", revive=False)
    takeover = await lab.takeover(at)
    await lab.servers.resume("kafka-1")
    lab.figures.within("takeover_s_of_one", takeover, 20.0)
    await lab.until_caught_up()
    seconds = lab.seconds(_QUORUM_LOST_S, 20.0)
    lab.say(f"SIGKILL two of three for {seconds:g} s")
    recovered = await _out(lab, seconds, "kafka-2", "kafka-3")
    _note_recovery(lab, [recovered])


async def _out(lab: Lab, seconds: float, *brokers: str) -> float:
    """Seconds from the return of the brokers until everything that was sent before is settled."""
    async with lab.without(*brokers):
        began = monotonic()
        await lab.hold(seconds)
        ended = monotonic()
    back = now_ms()
    answers = lab.door.between(began, ended)
    lab.figures.require(
        "the door accepts nothing while the broker is away",
        kept=all(a.status != 202 or a.took_s > ended - a.asked_at for a in answers),
    )
    slowest = max((a.took_s for a in answers if a.status == 503), default=0.0)
    lab.figures.within(f"door_503_s_while_{','.join(brokers)}_away", slowest, _REFUSED_WITHIN_S)
    return await lab.takeover(back) + await lab.until_caught_up()


def _note_recovery(lab: Lab, recovered: list[float]) -> None:
    refused = [a for a in lab.door.answers if a.status == 503]
    lab.figures.note("door_503", len(refused))
    lab.figures.note("door_503_s_max", max((a.took_s for a in refused), default=0.0))
    lab.figures.within("recovered_s_max", max(recovered), _RECOVERED_WITHIN_S)


SCENARIOS = (
    Scenario("broker-kill", f"the only broker is killed and comes back, {_KILLS} times", killed_again_and_again),
    Scenario(
        "three-brokers",
        "of three brokers one dies, later two for a minute",
        of_three,
        Conditions(brokers=3),
    ),
)
