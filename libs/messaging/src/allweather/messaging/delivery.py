"""Getting a handler's messages acknowledged, however long that takes, without one tenant holding up the others."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Sequence

from msgspec.structs import replace

from allweather.contracts import topics
from allweather.messaging.errors import PermanentError, PublishTimeout
from allweather.messaging.lanes import lane_of
from allweather.messaging.metrics import Metrics
from allweather.messaging.ports import Broker
from allweather.messaging.progress import note_progress
from allweather.messaging.types import Message

log = logging.getLogger(__name__)

REASON = "dlq-reason"
_PUBLIC_ATTEMPTS = 2


class Delivery:
    """Publishes until everything is acknowledged.

    A public topic belongs to a tenant. One that takes no record while the cluster answers gets two attempts; then the
    message goes to its dead letters, and the pipeline goes on: the outcome it carries stays retrievable by its id.
    """

    def __init__(self, broker: Broker, metrics: Metrics, *, group: str, public_timeout: float = 10.0) -> None:
        self._broker, self._metrics, self._group = broker, metrics, group
        self._public_timeout = public_timeout

    async def send(self, messages: Sequence[Message]) -> None:
        """Return when each message is acknowledged, or given up because its public topic does not take it."""
        if not messages:
            return
        started = time.perf_counter()
        internal: list[Message] = []
        public: defaultdict[str, list[Message]] = defaultdict(list)
        for message in messages:
            (internal if lane_of(message.topic) == "internal" else public[message.topic]).append(message)
        if public:
            # By topic, so that no tenant waits for another, and each is sent again only for its own trouble.
            await asyncio.gather(self._until_acknowledged(internal), *map(self._or_give_up, public.values()))
        else:
            await self._until_acknowledged(internal)
        self._metrics.observe("messaging.publish.seconds", time.perf_counter() - started, group=self._group)

    async def _until_acknowledged(self, messages: Sequence[Message]) -> None:
        while messages:
            try:
                await self._broker.publisher.publish(messages)
            except PublishTimeout as error:
                await self._cluster_answers(error)
            else:
                return

    async def _or_give_up(self, messages: Sequence[Message]) -> None:
        attempts, reason = 0, ""
        while attempts < _PUBLIC_ATTEMPTS:
            try:
                await self._broker.publisher.publish(messages, timeout=self._public_timeout)
            except PublishTimeout as error:
                attempts += await self._cluster_answers(error)
                reason = "the topic does not acknowledge"
            except PermanentError as error:
                reason = error.reason
                break
            else:
                return
        for message in messages:
            await self._give_up(message, reason)

    async def _cluster_answers(self, error: PublishTimeout) -> bool:
        """Whether the trouble is the topic's own; an absent cluster is waited for and is no reason to restart."""
        log.warning("group %s publishes again: %s", self._group, error)
        self._metrics.count("messaging.retries", group=self._group)
        reachable = await self._broker.reachable()
        if not reachable:
            note_progress()
        return reachable

    async def _give_up(self, message: Message, reason: str) -> None:
        self._metrics.count("messaging.undeliverable", topic=message.topic)
        letters = topics.dead_letters(message.topic)
        log.error("undeliverable message for %s (%s), kept in %s", message.topic, reason, letters)
        headers = (*message.headers, (REASON, reason.encode()))
        letter = replace(message, topic=letters, headers=headers, partition=None)
        try:
            await self._broker.publisher.publish([letter])
        except (PublishTimeout, PermanentError) as error:
            # A tenant's topic must not stop the pipeline even when its dead letters are out of order as well.
            log.error("nor could %s be kept in %s: %s", message.topic, letters, error)
