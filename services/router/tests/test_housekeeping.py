import asyncio

from allweather.messaging import GroupMember, GroupState, TransientError
from allweather.router.breaker import BreakerSettings
from allweather.router.health import HealthBoard
from allweather.router.housekeeping import Housekeeping
from allweather.router.loops import turning
from allweather.router.space import Occupied, ParkingSpace
from allweather.router.testing.records import T0, configuration
from allweather.runtime.clock import FixedClock
from allweather.runtime.heartbeat import Heartbeat

CONFIG = configuration()


class Surroundings:
    """What housekeeping looks at."""

    def __init__(self) -> None:
        self.members = 2
        self.parked = [Occupied("demo", "bulk", CONFIG.tenants[0].limits.parked_requests, 10)]
        self.asked_for: list[int] = []

    async def describe_group(self, group: str) -> GroupState:
        return GroupState("Stable", tuple(GroupMember(f"{group}-{n}", None, "", "") for n in range(self.members)))

    async def counts(self) -> list[Occupied]:
        return self.parked

    async def forget(self, before_ms: int) -> int:
        self.asked_for.append(before_ms)
        return 5 if len(self.asked_for) < 2 else 0


def housekeeping(around: Surroundings) -> tuple[Housekeeping, HealthBoard, ParkingSpace]:
    board, space = HealthBoard(CONFIG, BreakerSettings()), ParkingSpace(CONFIG)
    return Housekeeping(around, around, around, space, board, FixedClock(T0), keep_days=14), board, space


async def test_a_full_queue_is_known_after_counting_and_an_emptied_one_too():
    around = Surroundings()
    keeper, _, space = housekeeping(around)

    await keeper.count()
    full = space.full("demo")
    around.parked = []
    await keeper.count()

    assert full
    assert not space.full("demo")


async def test_the_limits_are_shared_among_the_members_of_the_group():
    around = Surroundings()
    keeper, board, _ = housekeeping(around)

    await keeper.count_replicas()
    two = board.replicas
    around.members = 0
    await keeper.count_replicas()

    assert (two, board.replicas) == (2, 1)


async def test_old_steps_are_deleted_in_portions():
    around = Surroundings()
    keeper, _, _ = housekeeping(around)

    assert await keeper.forget()
    assert not await keeper.forget()
    assert around.asked_for == [T0 - 14 * 86_400_000] * 2


async def test_a_loop_goes_on_when_what_it_needs_is_away():
    stopping, turns = asyncio.Event(), 0

    async def turn() -> bool:
        nonlocal turns
        turns += 1
        if turns == 3:
            stopping.set()
        raise TransientError("postgres: away")

    await turning(turn, stopping, every_s=0.01, beat=Heartbeat(60), name="release")

    assert turns == 3
