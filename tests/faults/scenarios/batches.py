"""A batch goes on, whatever dies: no line is lost, and none has two results."""

from lab.batches import begun, ended
from lab.lab import Lab
from lab.scenario import Scenario
from scenarios.points import died

from allweather.failpoints.names import POINTS

_SHORT, _LONG = 300, 2000
_FEW = 2
_WITHIN_S = 180.0
_BETWEEN_S = (1.0, 4.0)


async def every_step(lab: Lab) -> None:
    """The feeder dies on each line between two effects of its own; another one takes the batch over."""
    steps = sorted(point for point in POINTS if point.startswith("batch."))
    for point in steps if lab.thorough else lab.chance.sample(steps, _FEW):
        lab.services.amend("ingest", ALLWEATHER_FAILPOINTS=f"{point}=kill@1")
        await lab.services.restart("ingest")
        lab.services.amend("ingest", ALLWEATHER_FAILPOINTS="")
        lab.say(f"the feeder dies at {point}")
        armed = lab.services.pid("ingest")
        name = await begun(lab, _SHORT)
        lab.figures.require(f"{point} is reached", kept=await died(lab, "ingest", armed))
        await lab.services.until_ready("ingest")
        await ended(lab, name, _SHORT, _WITHIN_S)


async def every_service(lab: Lab) -> None:
    """One service after another is killed while a batch is under way."""
    name = await begun(lab, _LONG)
    for service in lab.service_names():
        await lab.hold(lab.chance.uniform(*_BETWEEN_S))
        lab.say(f"SIGKILL {service}")
        await lab.kill(service)
        await lab.services.until_ready(service)
    await ended(lab, name, _LONG, _WITHIN_S)


SCENARIOS = (
    Scenario("batch-steps", "a feeder dies at each step of a batch", every_step),
    Scenario("batch-kills", "every service dies while a batch is under way", every_service),
)
