"""Claims in Redis: a lease of 15 s on each call in flight. All commands of a moment travel in one pipeline."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from allweather.messaging.progress import note_progress
from allweather.provider_worker.claims import Claim, Meeting, meet
from allweather.runtime.redis import AWAY, RedisGuard

LEASE_MS = 15_000
RENEW_EVERY_S = 5.0
DONE_MS = 600_000
"""How long a finished attempt is remembered: redelivery follows a crash or a rebalance within seconds."""
LOOK_AGAIN_S = 0.5

Command = tuple[str | int, ...]
"""As Redis takes it: the methods of the client library cost more than the command."""


class RedisClaims:
    """The claims of one worker process; `renewing` keeps them alive."""

    def __init__(self, redis: RedisGuard) -> None:
        self._batches = _Batches(redis)
        self._mine: dict[str, Claim] = {}

    async def acquire(self, claim: Claim) -> bool:
        """Whether the call is ours to make. Waits while another holder is alive; without Redis it is ours."""
        while (meeting := await self._meet(claim)) is Meeting.WAIT:
            note_progress()
            await asyncio.sleep(LOOK_AGAIN_S)
        if meeting is not Meeting.TAKE_OVER:
            return False
        self._mine[claim.attempt] = claim
        return True

    def done(self, claim: Claim) -> None:
        """The result is acknowledged: whoever meets this record again commits it."""
        self._mine.pop(claim.attempt, None)
        self._batches.post(("SET", _key(claim), claim.finished.value, "PX", DONE_MS))

    def abandon(self, claim: Claim) -> None:
        """The call was given up without a result: another may make it at once."""
        self._mine.pop(claim.attempt, None)
        self._batches.post(("DEL", _key(claim)))

    @asynccontextmanager
    async def renewing(self) -> AsyncGenerator[None]:
        """Renew the claims of all calls in flight while the block runs; what is queued at its end is still sent."""
        renewal = asyncio.create_task(self._renew(), name="renew-claims")
        try:
            yield
        finally:
            renewal.cancel()
            await self._batches.flushed()

    async def _meet(self, claim: Claim) -> Meeting:
        """Take the claim if it is free, else say whom we met. A claim taken over is ours from here on."""
        held: Any = await self._batches.answer(_take(claim))
        if held is None or held is AWAY:
            return Meeting.TAKE_OVER
        meeting = meet(Claim.read(claim.attempt, held.decode()), claim)
        if meeting is Meeting.TAKE_OVER:
            self._batches.post(("SET", _key(claim), claim.value, "PX", LEASE_MS))
        return meeting

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            for claim in self._mine.values():
                self._batches.post(("PEXPIRE", _key(claim), LEASE_MS))
                self._batches.post(_take(claim))  # where it has lapsed: after a pause of ours, or of Redis


def _key(claim: Claim) -> str:
    return f"claim:{claim.attempt}"


def _take(claim: Claim) -> Command:
    """Set the claim unless there is one; the answer is the one there was."""
    return ("SET", _key(claim), claim.value, "NX", "GET", "PX", LEASE_MS)


_OPTIONS: dict[str | int, dict[str, bool]] = {"SET": {"get": True}}
"""Have the client library pass on the answer to SET as it is."""


class _Queued(NamedTuple):
    command: Command
    answer: "asyncio.Future[Any] | None"


class _Batches:
    """Sends commands together: what comes up while a pipeline is under way goes with the next one."""

    def __init__(self, redis: RedisGuard) -> None:
        self._redis = redis
        self._queue: list[_Queued] = []
        self._sending: asyncio.Task[None] | None = None

    async def answer(self, command: Command) -> Any:
        """The answer of `command`, or AWAY."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._enqueue(_Queued(command, answer))
        return await answer

    def post(self, command: Command) -> None:
        """Send `command` and let its answer go."""
        self._enqueue(_Queued(command, None))

    async def flushed(self) -> None:
        """Return when everything queued has been sent."""
        if self._sending is not None:
            await self._sending

    def _enqueue(self, queued: _Queued) -> None:
        self._queue.append(queued)
        if self._sending is None:
            self._sending = asyncio.create_task(self._send(), name="claims")

    async def _send(self) -> None:
        try:
            while self._queue:
                batch, self._queue = self._queue, []
                await self._send_batch(batch)
        finally:
            self._sending = None

    async def _send_batch(self, batch: list[_Queued]) -> None:
        def fill(pipe: Any) -> None:
            for command, _ in batch:
                pipe.execute_command(*command, **_OPTIONS.get(command[0], {}))

        answers = await self._redis.pipeline(fill)
        for position, (_, answer) in enumerate(batch):
            if answer is not None and not answer.done():
                answer.set_result(AWAY if answers is AWAY else answers[position])
