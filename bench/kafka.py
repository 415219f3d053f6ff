"""Load on the Kafka door: a producer that publishes requests, and a reader of the tenant's reply topic.

A client of ours, unlike that of the HTTP door: it runs in this process, and its own time is in the latencies.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Final
from uuid import uuid4

from allweather.contracts import headers, ids, topics
from allweather.messaging import Message, Publisher, TopicPartition
from allweather.messaging.ports import Reader
from bench.load import Loaded, Spread, body
from bench.system import TENANT, Bench

_REPLIES_WITHIN_S: Final = 30.0
_POLL_S: Final = 1.0
_MOST: Final = 500


def spread(seconds: Sequence[float]) -> Spread:
    """The distribution, in milliseconds."""
    ordered = sorted(value * 1000 for value in seconds)

    def at(share: float) -> float | None:
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else None

    return Spread(len(ordered), at(0.5), at(0.9), at(0.99), at(1))


@dataclass(slots=True)
class Client:
    """Sends requests, and knows when each was answered."""

    publisher: Publisher
    reader: Reader
    sent: dict[bytes, float] = field(default_factory=dict[bytes, float])
    answered: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    """When, and after how many seconds."""
    refused: int = 0
    _run: str = field(default_factory=lambda: uuid4().hex)
    _numbers: "count[int]" = field(default_factory=count)

    async def send(self, requests: int = 1) -> None:
        """Publish so many requests; returns when they are acknowledged."""
        messages = [self._request(f"{self._run}-{next(self._numbers)}") for _ in range(requests)]
        await self.publisher.publish(messages)

    async def receive(self) -> int:
        """Wait for replies; returns how many came."""
        records = await self.reader.poll(timeout=_POLL_S, max_records=_MOST)
        now = time.perf_counter()
        mine = [(self.sent.pop(key), record) for record in records if (key := record.key or b"") in self.sent]
        self.answered += [(now, now - sent) for sent, _ in mine]
        self.refused += sum(record.text(headers.STATUS) != "200" for _, record in mine)
        return len(mine)

    async def receive_all(self) -> None:
        """Return when nothing is unanswered any more, or after half a minute."""
        async with asyncio.timeout(_REPLIES_WITHIN_S):
            while self.sent:
                await self.receive()

    def loaded(self, until: float) -> Loaded:
        """What came of it, as far as it came before `until`."""
        in_time = [seconds for at, seconds in self.answered if at <= until]
        none = spread(())
        return Loaded(len(in_time) - self.refused, len(self.sent), self.refused, 0, spread(in_time), none, 0.0)

    def _request(self, key: str) -> Message:
        self.sent[str(ids.request_id(TENANT, key)).encode()] = time.perf_counter()
        return Message(topics.requests(TENANT), _BODY, key.encode(), ((headers.CE_ID, key.encode()), *_HEADERS))


_BODY: Final = body().encode()
_HEADERS: Final = (
    (headers.CONTENT_TYPE, b"application/json"),
    (headers.CE_SPECVERSION, b"1.0"),
    (headers.CE_SOURCE, b"/bench"),
    (headers.CE_TYPE, b"ai.request.submitted"),
)


async def steady(bench: Bench, seconds: float, rate: int) -> Loaded:
    """So many requests a second, evenly apart, whether or not earlier ones are answered."""
    async with _client(bench) as client, asyncio.TaskGroup() as sending:
        receiving = sending.create_task(_keep_receiving(client))
        began = time.perf_counter()
        for number in range(int(seconds * rate)):
            await asyncio.sleep(began + number / rate - time.perf_counter())
            sending.create_task(client.send())
        receiving.cancel()
        await client.receive_all()
        return client.loaded(time.perf_counter())


async def backlog(bench: Bench, seconds: float, unanswered: int) -> Loaded:
    """So many requests unanswered at any time: nobody waits at this door, so there may well be a backlog."""
    async with _client(bench) as client:
        until = time.perf_counter() + seconds
        await client.send(unanswered)
        while time.perf_counter() < until:
            await client.send(await client.receive())
        await client.receive_all()
        return client.loaded(until)


async def _keep_receiving(client: Client) -> None:
    while True:
        await client.receive()


@asynccontextmanager
async def _client(bench: Bench) -> AsyncGenerator[Client]:
    topic = topics.replies(TENANT)
    partitions = [TopicPartition(topic, n) for n in range(bench.broker.partitions(topic) or 0)]
    reader = await bench.broker.reader()
    try:
        await reader.assign(await bench.broker.end_offsets(partitions))
        yield Client(bench.broker.publisher, reader)
    finally:
        await reader.close()
