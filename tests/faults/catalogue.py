"""Every scenario, in the order in which a full run takes them."""

from typing import Final

from lab.scenario import Scenario
from scenarios import broker, kills

SCENARIOS: Final[tuple[Scenario, ...]] = (*kills.SCENARIOS, *broker.SCENARIOS)
