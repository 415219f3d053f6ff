"""Where a conversation can go: one deployment for each model of the catalogue, judged as policy and router judge."""

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from allweather.contracts import config
from allweather.contracts.slip import Dialect, Priority, ReplyAddress, Slip, Verdict
from allweather.dialects import asked
from allweather.provider_worker.vendors import VENDORS
from allweather.provider_worker.wire import Target, Translator
from allweather.router.routing import lacking, permitted
from suite.simulated import BASE

CONFIGURATION = config.load(Path(__file__).parents[3] / "config")


@dataclass(frozen=True, slots=True)
class Lane:
    """A deployment, and the translator to it."""

    deployment: config.Deployment
    translator: Translator

    @property
    def vendor(self) -> str:
        return self.deployment.vendor

    @property
    def name(self) -> str:
        return self.deployment.id

    @property
    def target(self) -> Target:
        """The deployment at the simulators."""
        path = CONFIGURATION.vendor(self.vendor).simulator_path.format(region=self.deployment.region)
        return Target(self.deployment, BASE + path, "care")

    def reads_what_comes_from(self, other: "Lane") -> bool:
        """Whether one can read what the other has sealed: all models of Anthropic, elsewhere only the same one."""
        return self == other or self.vendor == other.vendor == "anthropic"

    def takes(self, dialect: Dialect, body: bytes) -> bool:
        """Whether the router would send it a request with that body."""
        slip = _slip(dialect, body)
        return permitted(self.deployment, slip) and not lacking(self.deployment, slip, CONFIGURATION)


def _lanes() -> tuple[Lane, ...]:
    first = {(d.vendor, d.model): d for d in reversed(CONFIGURATION.deployments)}
    return tuple(
        Lane(d, VENDORS[CONFIGURATION.vendor(d.vendor).api])
        for d in CONFIGURATION.deployments
        if first[d.vendor, d.model] is d and not d.embeds
    )


LANES = _lanes()
ONE_OF_EACH = tuple({lane.vendor: lane for lane in reversed(LANES)}.values())[::-1]
"""One lane of each vendor."""


def _slip(dialect: Dialect, body: bytes) -> Slip:
    """What policy writes of a permitted request."""
    read = asked.read(dialect, body)
    return Slip(
        request_id=UUID(int=1),
        tenant="demo",
        dialect=dialect,
        route=read.route,
        stream=read.stream,
        priority=Priority.INTERACTIVE,
        accepted_at_ms=0,
        deadline_ms=1,
        body_digest="",
        needs=read.needs,
        reply=ReplyAddress(topic="replies"),
        verdict=Verdict(effect="permit"),
    )
