"""Claims in a real Redis, between workers, and without one."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from pydantic import SecretStr

from allweather.messaging.testing import eventually
from allweather.provider_worker.adapters.claims import LEASE_MS, RedisClaims
from allweather.provider_worker.claims import Claim, Holder
from allweather.provider_worker.testing import NO_REDIS
from allweather.runtime.redis import RedisGuard, guarded_redis

FIRST, SECOND = Holder("provider-worker.openai-0", 1), Holder("provider-worker.openai-1", 1)


@pytest.fixture
async def redis(redis_url: str) -> AsyncGenerator[RedisGuard]:
    async with guarded_redis(SecretStr(redis_url), timeout_s=10) as guard:
        yield guard


def claim(holder: Holder, offset: int = 7) -> Claim:
    return Claim("a1", f"dispatch/0/{offset}", holder)


async def test_free_attempt_is_taken_for_a_lease(redis: RedisGuard) -> None:
    assert await RedisClaims(redis).acquire(claim(FIRST))

    assert 0 < await redis.call("PTTL", "claim:a1") <= LEASE_MS


async def test_finished_attempt_is_not_made_again(redis: RedisGuard) -> None:
    claims = RedisClaims(redis)
    await claims.acquire(claim(FIRST))
    claims.done(claim(FIRST))

    assert not await RedisClaims(redis).acquire(claim(SECOND))


async def test_another_record_of_the_attempt_is_skipped(redis: RedisGuard) -> None:
    await RedisClaims(redis).acquire(claim(FIRST, offset=7))

    assert not await RedisClaims(redis).acquire(claim(SECOND, offset=8))


async def test_redelivered_record_waits_for_the_holder(redis: RedisGuard) -> None:
    """While the holder lives; then its finished call is not made again."""
    holding = RedisClaims(redis)
    await holding.acquire(claim(FIRST))
    waiting = asyncio.create_task(RedisClaims(redis).acquire(claim(SECOND)))
    await asyncio.sleep(0)
    assert not waiting.done()

    holding.done(claim(FIRST))

    assert not await waiting


async def test_abandoned_call_is_taken_over_by_whoever_waits(redis: RedisGuard) -> None:
    holding = RedisClaims(redis)
    await holding.acquire(claim(FIRST))
    waiting = asyncio.create_task(RedisClaims(redis).acquire(claim(SECOND)))

    holding.abandon(claim(FIRST))

    assert await waiting


async def test_lapsed_lease_is_taken_over(redis: RedisGuard) -> None:
    await RedisClaims(redis).acquire(claim(FIRST))
    waiting = asyncio.create_task(RedisClaims(redis).acquire(claim(SECOND)))

    await redis.call("PEXPIRE", "claim:a1", 1)

    assert await waiting


async def test_a_zombie_that_gives_up_does_not_give_up_its_successors_call(redis: RedisGuard) -> None:
    zombie, successor = RedisClaims(redis), RedisClaims(redis)
    await zombie.acquire(claim(FIRST))
    await redis.call("DEL", "claim:a1")  # it stood still for longer than its lease
    await successor.acquire(claim(SECOND))

    zombie.abandon(claim(FIRST))

    assert await redis.call("GET", "claim:a1") == claim(SECOND).value.encode()


class Stalled(RedisGuard):
    """A process that stands still between asking and hearing, once."""

    def __init__(self, redis: RedisGuard) -> None:
        self._redis, self.asked = redis, 0
        self.post = redis.post

    async def call(self, *command: str | bytes | int) -> Any:
        answer = await self._redis.call(*command)
        self.asked += 1
        if self.asked == 1:
            await asyncio.sleep(0.2)  # longer than the lease below
        return answer


async def test_a_lease_that_may_have_lapsed_before_we_heard_of_it_is_none(
    redis: RedisGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a process that stood still would call beside its successor."""
    monkeypatch.setattr("allweather.provider_worker.adapters.claims.LEASE_MS", 100)
    stalled = Stalled(redis)

    assert await RedisClaims(stalled).acquire(claim(FIRST))

    assert stalled.asked == 2


async def test_next_life_of_a_slot_takes_over_at_once(redis: RedisGuard) -> None:
    """Its earlier life is dead, or the supervisor would not have started it; the lease runs anew."""
    await RedisClaims(redis).acquire(claim(FIRST))
    await redis.call("PEXPIRE", "claim:a1", 5_000)

    assert await RedisClaims(redis).acquire(claim(Holder(FIRST.instance, 2)))

    async def renewed() -> bool:
        return bool(await redis.call("PTTL", "claim:a1") > 5_000)

    await eventually(renewed)


async def test_held_claims_are_renewed_together(redis: RedisGuard, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease that runs low is prolonged; one that has lapsed in a pause is taken again."""
    monkeypatch.setattr("allweather.provider_worker.adapters.claims.RENEW_EVERY_S", 0.01)
    claims = RedisClaims(redis)
    low, lapsed = claim(FIRST), Claim("a2", "dispatch/0/8", FIRST)
    async with claims.renewing():
        await asyncio.gather(claims.acquire(low), claims.acquire(lapsed))
        await redis.call("PEXPIRE", "claim:a1", 2_000)
        await redis.call("DEL", "claim:a2")

        async def renewed() -> bool:
            return bool(await redis.call("PTTL", "claim:a1") > 2_000 and await redis.call("PTTL", "claim:a2") > 0)

        await eventually(renewed)


async def test_what_is_done_at_the_end_is_still_written(redis: RedisGuard) -> None:
    claims = RedisClaims(redis)
    async with claims.renewing():
        await claims.acquire(claim(FIRST))
        claims.done(claim(FIRST))

    assert await redis.call("GET", "claim:a1") == claim(FIRST).finished.value.encode()


async def test_without_redis_every_call_is_ours() -> None:
    """P4 allows a call more; it does not allow to wait."""
    async with guarded_redis(NO_REDIS) as away:
        claims = RedisClaims(away)

        assert await claims.acquire(claim(FIRST))
        assert await claims.acquire(claim(FIRST))

        claims.done(claim(FIRST))
        async with claims.renewing():
            pass
