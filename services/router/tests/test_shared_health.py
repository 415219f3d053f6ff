"""Replicas that share what they know through Redis, and go on without it."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from pydantic import SecretStr

from allweather.contracts.failures import FailureKind
from allweather.contracts.records import AttemptResult, Dispatch, RoutingDecision
from allweather.router.adapters.health import BREAKERS, LEASE, SharedHealth
from allweather.router.breaker import BreakerSettings
from allweather.router.health import HealthBoard
from allweather.router.testing.records import T0, configuration
from allweather.runtime.clock import FixedClock
from allweather.runtime.redis import RedisGuard, guarded_redis

CONFIG = configuration()
ALPHA = CONFIG.deployment("alpha/one")
DECISION = RoutingDecision(config_digest="", now_ms=T0, seed=0, considered=(), reason="")


class Replica:
    """A router's health, as far as it goes."""

    def __init__(self, redis: RedisGuard, clock: FixedClock, name: str) -> None:
        self.clock = clock
        self.board = HealthBoard(CONFIG, BreakerSettings())
        self.shared = SharedHealth(self.board, redis, clock, replica=name)

    def saw(self, failure: FailureKind | None, times: int = 1) -> None:
        now = self.clock.now_ms()
        for _ in range(times):
            result = AttemptResult(
                attempt_id=uuid4(),
                n=1,
                deployment=ALPHA.id,
                episode=1,
                dispatched_at_ms=now,
                started_at_ms=now,
                ended_at_ms=now,
                failure=failure,
            )
            self.board.attempted(result)

    def state(self) -> str:
        return self.board.condition(ALPHA, self.clock.now_ms()).state

    def probe(self) -> Dispatch:
        call = Dispatch(
            attempt_id=uuid4(),
            n=1,
            deployment=ALPHA.id,
            vendor="alpha",
            episode=1,
            dispatched_at_ms=self.clock.now_ms(),
            first_token_timeout_ms=10_000,
            probe=True,
            decision=DECISION,
        )
        self.board.dispatched(call, repeat=False, released=False)
        return call


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[RedisGuard]:
    async with guarded_redis(SecretStr(redis_url), timeout_s=10) as guard:
        yield guard


@pytest.fixture
async def away() -> AsyncIterator[RedisGuard]:
    """A Redis that nobody listens behind."""
    async with guarded_redis(SecretStr("redis://127.0.0.1:1/0")) as guard:
        yield guard


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(T0)


async def test_a_breaker_opens_on_what_two_replicas_saw_together(redis: RedisGuard, clock: FixedClock):
    one, two = Replica(redis, clock, "r-0"), Replica(redis, clock, "r-1")
    one.saw(FailureKind.UNAVAILABLE, 3)
    two.saw(FailureKind.UNAVAILABLE, 2)

    await one.shared.sync()
    await two.shared.sync()
    await one.shared.sync()

    assert (one.state(), two.state()) == ("open", "open")
    assert (one.board.unshared, two.board.unshared) == ({}, {})


async def test_what_is_seen_while_others_write_is_not_lost(redis: RedisGuard, clock: FixedClock):
    """Compare-and-set: a state that another replica has changed meanwhile is read again first."""
    one, two = Replica(redis, clock, "r-0"), Replica(redis, clock, "r-1")
    await one.shared.sync()
    await two.shared.sync()
    for _ in range(2):
        one.saw(FailureKind.UNAVAILABLE)
        two.saw(FailureKind.UNAVAILABLE)
        await one.shared.sync()
        await two.shared.sync()
    await one.shared.sync()

    assert one.board.breaker(ALPHA.id, T0).consecutive == 4
    assert two.board.breaker(ALPHA.id, T0).consecutive == 4


async def test_a_new_replica_learns_what_the_others_know(redis: RedisGuard, clock: FixedClock):
    old = Replica(redis, clock, "r-0")
    old.saw(FailureKind.UNAVAILABLE, 5)
    await old.shared.sync()

    new = Replica(redis, clock, "r-1")
    await new.shared.start()

    assert new.state() == "open"
    assert new.board.recovered_at_ms is None


async def test_only_one_replica_holds_the_lease_of_a_probe(redis: RedisGuard, clock: FixedClock):
    one, two = Replica(redis, clock, "r-0"), Replica(redis, clock, "r-1")
    one.saw(FailureKind.UNAVAILABLE, 5)
    await one.shared.sync()
    clock.advance(60)

    await one.shared.sync()
    await two.shared.sync()

    assert one.board.leases == {ALPHA.id}
    assert two.board.leases == set()


async def test_a_lease_lasts_as_long_as_its_probe_and_is_given_back_after_it(redis: RedisGuard, clock: FixedClock):
    one = Replica(redis, clock, "r-0")
    one.saw(FailureKind.UNAVAILABLE, 5)
    clock.advance(60)
    await one.shared.sync()
    call = one.probe()

    await one.shared.sync()
    during = await redis.call("PTTL", LEASE + ALPHA.id)
    one.board.probing.pop(call.attempt_id)
    await one.shared.sync()
    after = await redis.call("PTTL", LEASE + ALPHA.id)

    assert 5_000 < during <= 15_000
    assert after <= 2_000, "it was given back, and taken for the next probe"


async def test_a_lease_that_nobody_here_can_use_is_given_back(redis: RedisGuard, clock: FixedClock):
    one, two = Replica(redis, clock, "r-0"), Replica(redis, clock, "r-1")
    one.saw(FailureKind.UNAVAILABLE, 5)
    await one.shared.sync()
    await two.shared.sync()
    clock.advance(60)
    await one.shared.sync()
    clock.advance(3)
    await redis.call("DEL", LEASE + ALPHA.id)  # its time is Redis's own, which stands still for no test

    await two.shared.sync()
    await one.shared.sync()

    assert two.board.leases == {ALPHA.id}
    assert one.board.leases == set()


async def test_without_redis_a_replica_goes_by_what_it_saw_itself(away: RedisGuard, clock: FixedClock):
    alone = Replica(away, clock, "r-0")
    await alone.shared.start()
    alone.saw(FailureKind.UNAVAILABLE, 5)

    await alone.shared.sync()
    opened = alone.state()
    clock.advance(60)
    await alone.shared.sync()

    assert opened == "open"
    assert alone.board.leases == {ALPHA.id}, "every replica probes for itself"


async def test_without_redis_at_the_start_everything_is_in_its_slow_start(away: RedisGuard, clock: FixedClock):
    alone = Replica(away, clock, "r-0")

    await alone.shared.start()

    assert alone.state() == "closed"
    assert alone.board.release_room(ALPHA, T0) == 1, "half of a tenth of eight calls, and at least one"


async def test_observations_do_not_pile_up_while_redis_is_away(away: RedisGuard, clock: FixedClock):
    alone = Replica(away, clock, "r-0")
    alone.saw(None, 3_000)

    await alone.shared.sync()

    assert len(alone.board.unshared[ALPHA.id]) == 2_000


async def test_a_redis_that_has_forgotten_everything_is_told_again(redis: RedisGuard, clock: FixedClock):
    one = Replica(redis, clock, "r-0")
    one.saw(FailureKind.UNAVAILABLE, 5)
    await one.shared.sync()
    await redis.call("DEL", BREAKERS)

    one.saw(None)
    await one.shared.sync()
    new = Replica(redis, clock, "r-1")
    await new.shared.start()

    assert new.state() == "open"
