"""What the door reads of the router: its published views, nothing else."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping
from typing import Final
from uuid import UUID

from allweather.contracts.config import Configuration, Limits
from allweather.ingest.replies import Reply, of_row
from allweather.ingest.status import Status
from allweather.runtime.postgres import DependencyAway, Postgres

log = logging.getLogger(__name__)

LOOK_S: Final = 2.0
STALE_S: Final = 10.0
"""An older look says nothing: the router has the last word on what is parked."""

_OUTCOMES: Final = "SELECT request_id, settled::text AS settled, reply FROM router.outcomes WHERE request_id = ANY($1)"
_SETTLED: Final = "SELECT request_id, status FROM router.outcomes WHERE request_id = ANY($1)"
_PROGRESS: Final = "SELECT state FROM router.progress WHERE request_id = $1"
_PARKING: Final = "SELECT tenant, requests, bytes FROM router.parking"

_USUAL: Final = Limits()


class RouterViews:
    """Looks requests up. Every call raises `DependencyAway` when Postgres cannot be used."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def outcomes(self, requests: Collection[UUID]) -> Mapping[UUID, Reply]:
        """The outcomes of those requests that have one."""
        rows = await self._postgres.run(lambda connection: connection.fetch(_OUTCOMES, list(requests)))
        return {row["request_id"]: of_row(row["settled"], row["reply"] or b"") for row in rows}

    async def codes(self, requests: Collection[UUID]) -> Mapping[UUID, int]:
        """The HTTP status of the outcomes of those requests that have one."""
        rows = await self._postgres.run(lambda connection: connection.fetch(_SETTLED, list(requests)))
        return {row["request_id"]: row["status"] for row in rows}

    async def status(self, request_id: UUID) -> Status:
        """How far a request is. One that the router has not seen yet is pending: its id proves that it exists."""
        settled = await self.outcomes([request_id])
        if request_id in settled:
            return Status("settled", settled[request_id])
        state = await self._postgres.run(lambda connection: connection.fetchval(_PROGRESS, request_id))
        return Status("parked" if state == "parked" else "pending", dispatched=state == "dispatched")

    async def parked(self) -> Mapping[str, tuple[int, int]]:
        """Requests and bytes that wait for vendors, by tenant."""
        rows = await self._postgres.run(lambda connection: connection.fetch(_PARKING))
        return {row["tenant"]: (row["requests"], row["bytes"]) for row in rows}


class ParkingLimits:
    """Whether a tenant may have more waiting, as of the last look."""

    def __init__(self, configuration: Configuration, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._limits: Mapping[str, Limits] = {tenant.id: tenant.limits for tenant in configuration.tenants}
        self._parked: Mapping[str, tuple[int, int]] = {}
        self._asked_at = self._seen_at = float("-inf")

    def full(self, tenant: str) -> str | None:
        """Why nothing more of `tenant` can be taken, or None."""
        self._asked_at = self._now()
        if self._asked_at - self._seen_at > STALE_S:
            return None
        requests, size = self._parked.get(tenant, (0, 0))
        limits = self._limits.get(tenant, _USUAL)
        if requests < limits.parked_requests and size < limits.parked_bytes:
            return None
        return f"{requests} requests ({size >> 20} MiB) of yours wait for vendors already. Try again later."

    @property
    def wanted(self) -> bool:
        """Whether anybody has asked lately: without traffic nobody needs to look."""
        return self._now() - self._asked_at < STALE_S

    def saw(self, parked: Mapping[str, tuple[int, int]]) -> None:
        """Judge by this look from now on."""
        self._parked, self._seen_at = parked, self._now()


async def watch_parking(views: RouterViews, limits: ParkingLimits) -> None:
    """Keep `limits` up to date while there is traffic, until cancelled. Without Postgres the last look counts."""
    while True:
        await asyncio.sleep(LOOK_S)
        if limits.wanted:
            try:
                limits.saw(await views.parked())
            except DependencyAway:
                log.debug("parking cannot be looked up")
