"""From an HTTP request to an acknowledged record: nothing after this can lose it, nothing before it has an outcome."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

from allweather.contracts import headers
from allweather.contracts.ids import DoorAddress
from allweather.failpoints import Failpoints
from allweather.ingest import refusals
from allweather.ingest.submission import Submission
from allweather.ingest.waiters import WaitingRoom
from allweather.messaging import Message, PermanentError, TransientError
from allweather.telemetry.metrics import REQUESTS_ACCEPTED, Door

log = logging.getLogger(__name__)

INTERACTIVE: Final = {headers.PRIORITY: b"interactive", headers.DEADLINE: b"600"}
"""What a caller who waits is given when it asks for nothing: ten minutes."""


class Conflicts(Protocol):
    """Remembers which body was submitted under a key."""

    async def same_body(self, request_id: UUID, body_digest: str) -> bool:
        """Whether no other body is known under this request's key; True when that cannot be known now."""
        ...


class Parking(Protocol):
    """Knows how much of each tenant waits for vendors."""

    def full(self, tenant: str) -> str | None:
        """Why nothing more of `tenant` can be taken, or None."""
        ...


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Publishes submissions, unless there is a reason to refuse them first."""

    room: WaitingRoom
    conflicts: Conflicts
    parking: Parking
    publish: Callable[[Message], Awaitable[None]]
    """Returns when the record is acknowledged; raises `TransientError` when that is not known in time."""
    keep_body: Callable[[bytes], Awaitable[object]]
    door: DoorAddress
    """Where replies to callers of this replica go."""
    secret: bytes
    failpoints: Failpoints

    async def accept(self, submission: Submission) -> None:
        """Return when the request is accepted. Raises `Refused` when it is not, or when that is unknown."""
        await self._check(submission)
        if submission.is_large:
            await self._keep(submission.body)
        try:
            await self.publish(submission.message(self.door, self.secret))
        except TransientError:
            raise refusals.unknown_fate(submission.key, minted=submission.key_is_minted) from None
        except PermanentError as error:
            log.error("requests cannot be published", extra={"tenant": submission.tenant, "reason": error.reason})
            raise refusals.unavailable("Requests of this tenant cannot be taken now.") from None
        REQUESTS_ACCEPTED.inc(Door("http", submission.tenant))
        await self.failpoints.pause("ingest.after-publish")

    async def _check(self, submission: Submission) -> None:
        reason = self.parking.full(submission.tenant)
        if reason is not None:
            raise refusals.over_limit(reason)
        if submission.key_is_minted:
            return
        if self.room.other_body(submission.request_id, submission.body_digest):
            raise refusals.conflict()
        if not await self.conflicts.same_body(submission.request_id, submission.body_digest):
            raise refusals.conflict()

    async def _keep(self, body: bytes) -> None:
        try:
            await self.keep_body(body)
        except OSError:
            log.exception("payload store is away")
            raise refusals.unavailable("Large bodies cannot be taken now.") from None
