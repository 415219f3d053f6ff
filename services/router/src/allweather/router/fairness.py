"""Whose turn it is: deficit round robin, so that no tenant's backlog delays another's."""

from collections.abc import Collection


class DeficitRoundRobin:
    """Shares room out equally; what does not divide is owed and paid the next time."""

    def __init__(self) -> None:
        self._owed: dict[str, float] = {}

    def grants(self, tenants: Collection[str], room: int) -> dict[str, int]:
        """How much of `room` each of the waiting `tenants` is given. Whoever waits for nothing is owed nothing."""
        if not tenants or room <= 0:
            return {}
        share = room / len(tenants)
        self._owed = {tenant: self._owed.get(tenant, 0.0) + share for tenant in tenants}
        return self._whole(room)

    def _whole(self, room: int) -> dict[str, int]:
        granted: dict[str, int] = {}
        for tenant in sorted(self._owed, key=lambda t: -self._owed[t]):
            granted[tenant] = min(room, max(0, round(self._owed[tenant])))
            room -= granted[tenant]
            self._owed[tenant] -= granted[tenant]
        return granted

    def unused(self, tenant: str, count: int) -> None:
        """The tenant had less waiting than it was given: it saves nothing up."""
        if count:
            self._owed[tenant] = 0.0
