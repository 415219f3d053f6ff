"""A stay in a group over Kafka."""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from typing import NoReturn

from allweather.messaging.errors import BrokerAway, Fenced, TransientError, UnknownTopic
from allweather.messaging.kafka.client import (
    COMMIT_REFUSED,
    UNKNOWN_TOPIC,
    ClientError,
    ConsumerClient,
)
from allweather.messaging.kafka.observer import Observer
from allweather.messaging.kafka.reader import read_past
from allweather.messaging.kafka.settings import COMMIT_TIMEOUT, JOIN_TIMEOUT
from allweather.messaging.ports import CommitRefused, Committed, MembershipLost, Rebalances, Subscription
from allweather.messaging.tasks import cancel
from allweather.messaging.types import Record, TopicPartition

log = logging.getLogger(__name__)

_PAUSE = 0.2
_FENCE_CHECK_TIMEOUT = 3.0


class KafkaMembership:
    """One consumer of the client, given up at the first sign of trouble: a new one is known to work."""

    def __init__(
        self,
        consumer: ConsumerClient,
        observer: Observer,
        rebalances: Rebalances,
        *,
        group: str,
        instance: str | None,
    ) -> None:
        self._consumer, self._observer, self._rebalances = consumer, observer, rebalances
        self._group, self._instance = group, instance
        self._over: asyncio.Future[NoReturn] = asyncio.get_running_loop().create_future()
        self._polling: asyncio.Timeout | None = None
        self._preparing: asyncio.Task[None] | None = None
        self._member_id: str | None = None
        self._assignment = 0

    async def join(self, subscription: Subscription) -> None:
        """Return with the first assignment."""
        self._consumer.subscribe(subscription.topics, subscription.pattern, self._revoked, self._assigned)
        try:
            async with asyncio.timeout(JOIN_TIMEOUT):
                await self._consumer.start()
        except UNKNOWN_TOPIC:
            raise UnknownTopic(", ".join(subscription.topics)) from None
        except ClientError as error:
            raise MembershipLost(f"could not join group {self._group}: {error!r}") from error

    async def poll(self, *, timeout: float, max_records: int) -> Sequence[Record]:
        self._raise_if_over()
        try:
            return await self._drain(timeout, max_records)
        except UnicodeDecodeError:
            return await self._read_on(max_records)
        except ClientError as error:
            self._raise_if_over()
            await self._raise_if_fenced()
            raise MembershipLost(f"group {self._group}: {error!r}") from error

    def rest(self, seconds: float) -> None:
        self._consumer.rest(seconds)

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        self._consumer.pause(self._consumer.assignment() & set(partitions))

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        self._consumer.resume(self._consumer.assignment() & set(partitions))

    async def commit(self, offsets: Mapping[TopicPartition, Committed]) -> None:
        try:
            # The client has been seen to wait here for ever after a broker's restart.
            async with asyncio.timeout(COMMIT_TIMEOUT):
                await self._consumer.commit(offsets)
        except COMMIT_REFUSED as error:
            raise CommitRefused(str(error)) from error
        except ClientError as error:
            raise MembershipLost(f"commit of group {self._group}: {error!r}") from error

    async def close(self) -> None:
        await self._stop_preparing()
        await self._consumer.close()
        if self._over.done():
            self._over.exception()  # said or not, it is over

    async def _drain(self, timeout: float, max_records: int) -> Sequence[Record]:
        """The client's poll, which between two assignments waits without a limit: `TimeoutError` when `_end` sets one.

        What it returns is in the caller's hands in the same turn. Were there another turn in between, a rebalance could
        have other records forgotten, which came before these, and the group's place would pass those.
        """
        try:
            async with asyncio.timeout(None) as self._polling:
                return await self._consumer.poll(timeout, max_records)
        finally:
            self._polling = None

    async def _revoked(self) -> None:
        self._assignment += 1
        if self._member_id is None:  # the client also calls before the first assignment
            return
        if await self._is_fenced():
            self._end(Fenced(f"{self._instance} of group {self._group} was taken over by another process"))
            await asyncio.Event().wait()  # until closed, or the client would join again
        await self._stop_preparing()
        await self._rebalances.revoked()

    async def _assigned(self, partitions: Collection[TopicPartition]) -> None:
        self._member_id = self._consumer.member_id()
        self._consumer.pause(partitions)  # before anything is awaited, so that nothing is delivered too early
        # Not here: until this call returns no heartbeat is sent, and the offsets' home may be away.
        self._preparing = asyncio.create_task(self._prepare(partitions))

    async def _prepare(self, partitions: Collection[TopicPartition]) -> None:
        try:
            starts = await self._starts(partitions)
        except Exception as error:  # noqa: BLE001 - whatever it is, the consumer must hear of it, not this task
            self._end(error)
            return
        for at, offset in starts.items():
            self._consumer.seek(at, offset)
        self._consumer.resume(partitions)

    async def _starts(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        while True:
            try:
                committed = await self._observer.committed(self._group, partitions)
                return await self._rebalances.assigned(partitions, committed)
            except TransientError as error:
                log.warning("group %s: cannot begin yet: %s", self._group, error)
            await asyncio.sleep(_PAUSE)

    async def _stop_preparing(self) -> None:
        if self._preparing is not None:
            await cancel(self._preparing)

    async def _is_fenced(self) -> bool:
        """Whether the group knows another member under our instance id.

        The client does not know the error code for it, and would join again and throw the other one out in turn.
        """
        if self._instance is None:
            return False
        try:
            state = await self._observer.group(self._group, timeout=_FENCE_CHECK_TIMEOUT)
        except BrokerAway:
            return False
        return any(
            member.instance_id == self._instance and member.member_id != self._member_id for member in state.members
        )

    async def _raise_if_fenced(self) -> None:
        if await self._is_fenced():
            raise Fenced(f"{self._instance} of group {self._group} was taken over by another process")

    def _end(self, error: Exception) -> None:
        if self._over.done():
            return
        self._over.set_exception(error)
        if self._polling is not None:
            self._polling.reschedule(0)

    def _raise_if_over(self) -> None:
        if self._over.done():
            self._over.result()

    async def _read_on(self, max_records: int) -> Sequence[Record]:
        assignment = self._assignment  # this way takes many turns
        try:
            partitions = self._consumer.assignment() - self._consumer.paused()
            records = await read_past(self._consumer, partitions, max_records)
        except ClientError as error:
            raise MembershipLost(f"group {self._group}: {error!r}") from error
        return records if assignment == self._assignment else ()
