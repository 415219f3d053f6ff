"""Claims in Redis: a lease of 15 s on each call in flight."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

from allweather.messaging import note_progress, stepping_aside
from allweather.provider_worker.claims import Claim, Meeting, meet
from allweather.runtime.redis import AWAY, RedisGuard
from allweather.runtime.redis_client import Command

LEASE_MS = 15_000
RENEW_EVERY_S = 5.0
DONE_MS = 600_000
"""How long a finished attempt is remembered: redelivery follows a crash or a rebalance within seconds."""
LOOK_AGAIN_S = 0.5

_GIVE_BACK: Final = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


class RedisClaims:
    """The claims of one worker process; `renewing` keeps them alive."""

    def __init__(self, redis: RedisGuard) -> None:
        self._redis = redis
        self._mine: dict[str, Claim] = {}

    async def acquire(self, claim: Claim) -> bool:
        """Whether the call is ours to make; without Redis it is.

        Waits while another holder is alive, and takes no place in this process meanwhile: many calls may be in hand
        elsewhere when partitions move, and other records must not wait behind them.
        """
        if (meeting := await self._meet(claim)) is Meeting.WAIT:
            meeting = await self._waited(claim)
        return meeting is Meeting.TAKE_OVER

    def done(self, claim: Claim) -> None:
        """The result is acknowledged: whoever meets this record again commits it."""
        self._mine.pop(claim.attempt, None)
        self._redis.post("SET", _key(claim), claim.finished.value, "PX", DONE_MS)

    def abandon(self, claim: Claim) -> None:
        """The call was given up without a result: another may make it at once, unless one has taken it over already."""
        self._mine.pop(claim.attempt, None)
        self._redis.post("EVAL", _GIVE_BACK, 1, _key(claim), claim.value)

    def leave(self, claim: Claim) -> None:
        """The record is put aside: what is left of the lease keeps its twins from paying for the call again."""
        self._mine.pop(claim.attempt, None)

    @asynccontextmanager
    async def renewing(self) -> AsyncGenerator[None]:
        """Renew the claims of all calls in flight while the block runs; what was posted by its end is still sent."""
        renewal = asyncio.create_task(self._renew(), name="renew-claims")
        try:
            yield
        finally:
            renewal.cancel()
            await self._redis.flushed()

    async def _waited(self, claim: Claim) -> Meeting:
        """What becomes of the claim that another holds."""
        try:
            async with stepping_aside():
                while (meeting := await self._meet(claim)) is Meeting.WAIT:
                    note_progress()
                    await asyncio.sleep(LOOK_AGAIN_S)
        except BaseException:
            self.abandon(claim)
            raise
        return meeting

    async def _meet(self, claim: Claim) -> Meeting:
        """Take the claim if it is free, else say whom we met. A claim taken over is ours from here on."""
        held = await self._taken_in_time(claim)
        if held is None or held is AWAY:
            meeting = Meeting.TAKE_OVER
        else:
            meeting = meet(Claim.read(claim.attempt, held.decode()), claim)
            if meeting is Meeting.TAKE_OVER:
                self._redis.post("SET", _key(claim), claim.value, "PX", LEASE_MS)
        if meeting is Meeting.TAKE_OVER:
            self._mine[claim.attempt] = claim
        return meeting

    async def _taken_in_time(self, claim: Claim) -> Any:
        """Who held the claim when we tried to take it. A lease whose news comes when it may have lapsed is no lease."""
        loop = asyncio.get_running_loop()
        while True:
            asked = loop.time()
            held = await self._redis.call(*_take(claim))
            if held is not None or loop.time() - asked < LEASE_MS / 1000:
                return held

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            for claim in self._mine.values():
                self._redis.post("PEXPIRE", _key(claim), LEASE_MS)
                self._redis.post(*_take(claim))  # where it has lapsed: after a pause of ours, or of Redis


def _key(claim: Claim) -> str:
    return f"claim:{claim.attempt}"


def _take(claim: Claim) -> Command:
    """Set the claim unless there is one; the answer is the one there was."""
    return ("SET", _key(claim), claim.value, "NX", "GET", "PX", LEASE_MS)
