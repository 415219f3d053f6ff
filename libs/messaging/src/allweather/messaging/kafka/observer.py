"""What is known of topics, offsets and groups."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from typing import TypeVar

from allweather.messaging.errors import BrokerAway, UnknownTopic
from allweather.messaging.kafka.client import (
    UNKNOWN_TOPIC,
    AdminClient,
    ClientError,
    ConsumerClient,
    retriable,
)
from allweather.messaging.kafka.renewable import C, Renewable
from allweather.messaging.kafka.settings import CALL_TIMEOUT, METADATA_AGE, Connection
from allweather.messaging.ports import Committed, GroupMember, GroupState
from allweather.messaging.tasks import until_done
from allweather.messaging.types import TopicPartition

log = logging.getLogger(__name__)

T = TypeVar("T")

_UUID = 36
_PAUSE = 0.1
# A broker that has just started may not know every topic yet: one is believed gone only after so many looks.
_LOOKS = 3


class Observer:
    """Asks the brokers, each time within a limit, and remembers the topics between two looks."""

    def __init__(self, connection: Connection) -> None:
        self._admin = Renewable(lambda: AdminClient(connection))
        self._consumer = Renewable(lambda: ConsumerClient(connection))
        self._partitions: dict[str, int] = {}
        self._missed: dict[str, int] = {}
        self._looking: asyncio.Task[None] | None = None
        self._one_look = asyncio.Lock()

    async def start(self) -> None:
        """Look once, and again every few seconds from now on."""
        await self.look()
        self._looking = asyncio.create_task(self._look_again())

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await until_done(self._looking)
        await self._admin.close()
        await self._consumer.close()

    def partitions(self, topic: str) -> int | None:
        return self._partitions.get(topic)

    async def look(self, *, timeout: float = CALL_TIMEOUT) -> None:
        """Learn of all topics."""
        async with self._one_look:
            found = await self._ask(self._admin, AdminClient.partitions, timeout)
            self._missed = {topic: self._missed.get(topic, 0) + 1 for topic in self._partitions.keys() - found.keys()}
            kept = {topic: self._partitions[topic] for topic, looks in self._missed.items() if looks < _LOOKS}
            self._partitions = {**kept, **found}

    async def beginning_offsets(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        await self._check(partitions)
        return await self._ask(self._consumer, lambda consumer: consumer.beginning_offsets(partitions))

    async def end_offsets(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        await self._check(partitions)
        return await self._ask(self._consumer, lambda consumer: consumer.end_offsets(partitions))

    async def group(self, group: str, *, timeout: float = CALL_TIMEOUT) -> GroupState:
        state, members = await self._ask(self._admin, lambda admin: admin.group(group), timeout)
        return GroupState(state, tuple(_member(*member) for member in members))

    async def committed(
        self, group: str, partitions: Collection[TopicPartition] | None = None
    ) -> Mapping[TopicPartition, Committed]:
        return await self._ask(self._admin, lambda admin: admin.committed(group, partitions))

    async def _check(self, partitions: Collection[TopicPartition]) -> None:
        """The client would wait for a topic that does not exist, in the hope that it will."""
        if self._unknown(partitions):
            await self.look()  # it may be new
        for unknown in self._unknown(partitions):
            raise UnknownTopic(*unknown)

    def _unknown(self, partitions: Collection[TopicPartition]) -> list[TopicPartition]:
        return [at for at in partitions if at.partition >= (self._partitions.get(at.topic) or 0)]

    async def _look_again(self) -> None:
        while True:
            await asyncio.sleep(METADATA_AGE)
            with suppress(BrokerAway):
                await self.look()

    async def _ask(self, held: Renewable[C], question: Callable[[C], Awaitable[T]], timeout: float = CALL_TIMEOUT) -> T:
        client: C | None = None
        try:
            async with asyncio.timeout(timeout):
                while True:
                    client = await held.get()
                    try:
                        return await question(client)
                    except ClientError as error:
                        if not retriable(error):
                            raise
                    await asyncio.sleep(_PAUSE)
        except UNKNOWN_TOPIC as error:
            raise UnknownTopic(str(error)) from error
        except ClientError as error:
            if client is not None:
                held.discard(client)
            raise BrokerAway(f"no answer from the cluster: {error!r}") from error


def _member(member_id: str, client_id: str, host: str) -> GroupMember:
    # The broker makes a member's id of its instance id, or of its client id when it is not static, and a UUID.
    stem = member_id[: -_UUID - 1]
    return GroupMember(member_id, None if stem == client_id else stem, client_id, host)
