"""Connections between our processes and the servers break, crawl, freeze and are refused."""

from lab.lab import Lab
from lab.scenario import Conditions, Scenario
from lab.strikes import on_links

from allweather.drills.journal import now_ms

_ROUNDS = 3


async def connections(lab: Lab) -> None:
    """Every kind of trouble on every link, in an order that the seed tells."""
    strikes = on_links(list(lab.links)) * (_ROUNDS if lab.thorough else 1)
    took: list[float] = []
    for strike in lab.chance.sample(strikes, len(strikes)):
        await lab.hold(lab.chance.uniform(0.5, 3))
        lab.say(strike.name)
        await strike.run(lab)
        took.append(await lab.takeover(now_ms()))
    lab.figures.note("strikes", len(strikes))
    lab.figures.within("takeover_s_max", max(took), 60.0)


SCENARIOS = (
    Scenario(
        "network",
        "connections to Kafka, Postgres and Redis are cut, slowed, frozen and refused",
        connections,
        Conditions(linked=True),
    ),
)
