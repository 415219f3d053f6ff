"""What must be done now and then: count the queue, forget old steps."""

from typing import Protocol

from allweather.messaging import GroupState
from allweather.router.health import HealthBoard
from allweather.router.metering import show_breakers, show_parked
from allweather.router.space import Occupied, ParkingSpace
from allweather.runtime.clock import Clock

GROUP = "router"
_DAY_MS = 86_400_000


class Counted(Protocol):
    """The queue, as far as it is counted: see `adapters.parked.ParkedQueue`."""

    async def counts(self) -> list[Occupied]: ...


class Forgetful(Protocol):
    """The table of steps, as far as it forgets: see `adapters.steps.StepTable`."""

    async def forget(self, before_ms: int) -> int: ...


class Groups(Protocol):
    """Who is in a consumer group: see `messaging.Broker`."""

    async def describe_group(self, group: str) -> GroupState: ...


class Housekeeping:
    """Keeps the parking caps and the shares of limits honest, and the tables small."""

    def __init__(
        self,
        groups: Groups,
        parked: Counted,
        steps: Forgetful,
        space: ParkingSpace,
        board: HealthBoard,
        clock: Clock,
        *,
        keep_days: int,
    ) -> None:
        self._groups = groups
        self._parked = parked
        self._steps = steps
        self._space = space
        self._board = board
        self._clock = clock
        self._keep_ms = keep_days * _DAY_MS

    async def count(self) -> bool:
        """Count the queue by tenant, and show it and the breakers to whoever scrapes."""
        counts = await self._parked.counts()
        self._space.counted(counts)
        show_parked(counts)
        show_breakers(self._board, self._clock.now_ms())
        return False

    async def count_replicas(self) -> bool:
        """Learn among how many routers the limits of deployments are shared."""
        members = (await self._groups.describe_group(GROUP)).members
        self._board.replicas = max(1, len(members))
        return False

    async def forget(self) -> bool:
        """Delete a portion of the steps that nobody can ask for any more; says whether there may be more."""
        return await self._steps.forget(self._clock.now_ms() - self._keep_ms) > 0
