"""Every scenario, in the order in which a full run takes them."""

from typing import Final

from lab.scenario import Scenario
from scenarios import batches, broker, deploys, kills, limits, network, outage, pauses, points, soak, stores, vendors

SCENARIOS: Final[tuple[Scenario, ...]] = (
    *kills.SCENARIOS,
    *points.SCENARIOS,
    *batches.SCENARIOS,
    *pauses.SCENARIOS,
    *stores.SCENARIOS,
    *deploys.SCENARIOS,
    *limits.SCENARIOS,
    *broker.SCENARIOS,
    *network.SCENARIOS,
    *vendors.SCENARIOS,
    *outage.SCENARIOS,
    *soak.SCENARIOS,
)
