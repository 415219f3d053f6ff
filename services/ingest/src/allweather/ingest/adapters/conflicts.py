"""Which body was submitted under an idempotency key, in Redis, for a day.

Only a quicker no: without Redis the router finds the conflict, and the caller gets the same 422 a little later.
"""

from typing import Final
from uuid import UUID

from allweather.runtime.redis import Away, RedisGuard

REMEMBERED_S: Final = 24 * 3600


class RedisConflicts:
    """The first body of a key wins."""

    def __init__(self, redis: RedisGuard) -> None:
        self._redis = redis

    async def same_body(self, request_id: UUID, body_digest: str) -> bool:
        """Whether no other body is known under this request's key; True when that cannot be known now."""
        key = f"ingest:body:{request_id.hex}"
        own = bytes.fromhex(body_digest)
        answers = await self._redis.pipeline(("SET", key, own, "NX", "EX", REMEMBERED_S), ("GET", key))
        return isinstance(answers, Away) or answers[1] in {None, own}
