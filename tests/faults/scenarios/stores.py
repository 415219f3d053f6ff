"""Postgres and Redis are away, or have no room."""

from time import monotonic

import psutil
from lab.lab import Lab
from lab.scenario import Conditions, Scenario
from lab.small_disk import fill, free

from allweather.drills.journal import now_ms

_AWAY_S = 60.0
_AWAY_SHORT_S = 15.0
_CAUGHT_UP_S = 60.0
_ANSWERED_SHARE = 0.99


async def redis_away(lab: Lab) -> None:
    """Redis makes things cheap, never right: answers go on without it."""
    await lab.hold(3)
    seconds, began = lab.seconds(_AWAY_S, _AWAY_SHORT_S), now_ms()
    lab.say(f"Redis is away for {seconds:g} s")
    async with lab.without("valkey", needed=False):
        await lab.hold(seconds)
        sent = [s.request_id for s in lab.stage.journal.submissions.values() if began < s.at_ms < now_ms() - 5_000]
        left = await lab.stage.unsettled(sent)
    lab.figures.at_least("answered_meanwhile_share", 1 - len(left) / len(sent), _ANSWERED_SHARE)
    lab.figures.within("takeover_s", await lab.takeover(now_ms()), _CAUGHT_UP_S)


async def postgres_away(lab: Lab) -> None:
    """Nothing is decided without Postgres; everything is accepted, and decided afterwards."""
    await lab.hold(3)
    seconds = lab.seconds(_AWAY_S, _AWAY_SHORT_S)
    lab.say(f"SIGKILL Postgres, away for {seconds:g} s")
    async with lab.without("postgres"):
        began = monotonic()
        await lab.hold(seconds)
        ended = monotonic()
    await _caught_up(lab, began, ended)


async def disk_full(lab: Lab) -> None:
    """Postgres finds no room for another byte, and later finds room again."""
    folder = lab.state / "servers" / "postgres"
    await lab.hold(3)
    seconds = lab.seconds(_AWAY_S, _AWAY_SHORT_S)
    lab.say(f"the disk of Postgres is full for {seconds:g} s")
    async with lab.waited_for():
        began = monotonic()
        fill(folder)
        await lab.hold(seconds)
        lab.figures.note("free_bytes_while_full", psutil.disk_usage(str(folder)).free)
        ended = monotonic()
        free(folder)
        await lab.servers.until_ready("postgres")
    await _caught_up(lab, began, ended)


async def _caught_up(lab: Lab, began: float, ended: float) -> None:
    accepted = [a for a in lab.door.between(began, ended - 1) if a.status == 202]
    lab.figures.at_least("accepted_meanwhile_by_the_door", len(accepted), (ended - began) * 0.8)
    lab.figures.within("takeover_s", await lab.takeover(now_ms()), _CAUGHT_UP_S)
    lab.figures.note("caught_up_s", await lab.until_caught_up())


SCENARIOS = (
    Scenario("redis-away", "Redis is killed and stays away for a minute", redis_away),
    Scenario("postgres-away", "Postgres is killed and stays away for a minute", postgres_away),
    Scenario("disk-full", "the disk of Postgres is full for a minute", disk_full, Conditions(postgres_mb=400)),
)
