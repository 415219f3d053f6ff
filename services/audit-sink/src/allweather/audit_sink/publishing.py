"""What is durable is shown: entries to their topic, then a signed checkpoint over them.

A copy on a topic and a signature cannot be taken back. So nothing is published or signed before Postgres has flushed
it, and after a crash the same entries are published again, byte for byte.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import Final

from allweather.audit_sink.adapters.log import Head, Log, SignedHead
from allweather.audit_sink.backlog import Backlog
from allweather.audit_sink.checkpoints import Signer
from allweather.contracts import topics
from allweather.messaging import Message, Publisher, TransientError
from allweather.runtime.clock import Clock
from allweather.telemetry.metrics import CHECKPOINT_TIME
from allweather.telemetry.metrics import Shard as ShardLabel

log = logging.getLogger(__name__)

EVERY_S: Final = 1.0
IDLE_S: Final = 60.0
"""Silence is signed as well."""
PAGE: Final = 500


class Publishing:
    """Publishes and signs: each second or 1,000 entries while the log grows, each minute while it does not."""

    def __init__(
        self,
        tables: Log,
        shards: Callable[[], Collection[int]],
        backlog: Backlog,
        *,
        signer: Signer,
        publisher: Publisher,
        clock: Clock,
    ) -> None:
        self._tables, self._shards, self._backlog = tables, shards, backlog
        self._signer, self._publisher, self._clock = signer, publisher, clock
        self._signed: dict[int, tuple[int, float]] | None = None

    async def run(self, stopping: asyncio.Event) -> None:
        """Publish and sign what comes, until `stopping` is set."""
        while not stopping.is_set():
            await self.finish()
            await self._pause(stopping)

    async def finish(self) -> None:
        """Publish and sign what there is. Where Kafka or Postgres is away it waits for the next time."""
        try:
            await self.round()
        except TransientError as error:
            self._backlog.some.set()
            log.warning("checkpoints wait", extra={"error": str(error)})

    async def round(self) -> None:
        """Publish all that the log holds now, and sign the shards that have grown or been silent for long."""
        self._backlog.clear()
        if self._signed is None:
            self._signed = dict(await self._tables.last_signed())
        heads = await self._tables.heads(self._shards())
        for head in heads:
            await self._copy(head)
        now_s = self._clock.now_ms() // 1000
        due = [head for head in heads if _due(head, self._signed.get(head.shard), now_s)]
        signed = await self._tables.seal([self._sign(head, now_s) for head in due])
        await self._publisher.publish([self._note(head) for head in signed])
        for head in signed:
            self._signed[head.shard] = head.size, head.signed_at_s
            CHECKPOINT_TIME.set(ShardLabel(str(head.shard)), head.signed_at_s)

    async def _pause(self, stopping: asyncio.Event) -> None:
        """Return when a round is due."""
        started = self._clock.monotonic()
        await _first_of(stopping, self._backlog.some, timeout=IDLE_S)
        left = EVERY_S - (self._clock.monotonic() - started)
        if left > 0:
            await _first_of(stopping, self._backlog.much, timeout=left)

    async def _copy(self, head: Head) -> None:
        """Publish the entries that are not on the topic yet, in order."""
        for low in range(head.published, head.frontier.size, PAGE):
            high = min(low + PAGE, head.frontier.size)
            entries = await self._tables.entries(head.shard, low, high)
            await self._publisher.publish([self._copied(head.shard, content) for _, content in entries])

    def _sign(self, head: Head, now_s: int) -> SignedHead:
        size = head.frontier.size
        return SignedHead(head.shard, size, now_s, self._signer.sign(head.shard, size, head.frontier.root, now_s))

    @staticmethod
    def _copied(shard: int, content: bytes) -> Message:
        return Message(topics.AUDIT_ENTRIES, content, partition=shard)

    @staticmethod
    def _note(head: SignedHead) -> Message:
        return Message(topics.AUDIT_CHECKPOINTS, head.note.encode(), partition=head.shard)


def _due(head: Head, signed: tuple[int, float] | None, now_s: int) -> bool:
    """Whether a shard has grown since it was signed, or has been silent for long. An empty one has nothing to sign."""
    size, signed_at_s = signed or (0, 0.0)
    return head.frontier.size > size or (size > 0 and now_s - signed_at_s >= IDLE_S)


async def _first_of(*events: asyncio.Event, timeout: float) -> None:
    """Return when one of `events` is set, or after `timeout` seconds."""
    waiters = [asyncio.ensure_future(event.wait()) for event in events]
    await asyncio.wait(waiters, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    for waiter in waiters:
        waiter.cancel()
