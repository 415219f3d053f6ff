"""For tests: a door over a broker in memory, with a pipeline behind it that answers as it is told."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from allweather.contracts import headers, ids, topics
from allweather.contracts.config import Configuration
from allweather.contracts.ids import DoorAddress
from allweather.contracts.records import Delta, EventType
from allweather.failpoints import OFF, Failpoints
from allweather.ingest.acceptance import Acceptance
from allweather.ingest.adapters.library import Library
from allweather.ingest.adapters.publishing import Coalesced
from allweather.ingest.adapters.server import serving
from allweather.ingest.batches.feeder import Means
from allweather.ingest.deliveries import Deliveries
from allweather.ingest.doors.streamed import Patience
from allweather.ingest.keys import Keyring
from allweather.ingest.replies import Reply
from allweather.ingest.responses import Kept
from allweather.ingest.routes import House, doors
from allweather.ingest.status import Status
from allweather.ingest.waiters import WaitingRoom
from allweather.messaging import MemoryBroker, Message, Record, TailConsumer, TopicPartition
from allweather.messaging.tasks import cancel
from allweather.runtime.clock import SystemClock
from allweather.runtime.payloads import MemoryPayloads
from allweather.runtime.postgres import DependencyAway, Postgres, Work
from allweather.runtime.probes import Probes

T = TypeVar("T")

SECRET = b"s" * 32
KEY = "aw_demo_0123456789abcdef"
OTHER_KEY = "aw_other_0123456789abcdef"
KEYS = msgspec.json.encode({"keys": [{"key": KEY, "tenant": "demo"}, {"key": OTHER_KEY, "tenant": "other"}]})
DOOR = DoorAddress("0-test", 1)
PARTITIONS = 4

ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_795_000_000,
    "model": "gpt-5.2",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Try descaling."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}


def chunk(content: str | None = None, finish: str | None = None) -> str:
    """The payload of one chunk."""
    delta = {} if content is None else {"content": content}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    whole = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-5.2",
        "choices": [choice],
    }
    return msgspec.json.encode(whole).decode()


class MemoryConflicts:
    """The first body of a key wins, as with Redis; `away` as when Redis is."""

    def __init__(self) -> None:
        self.bodies: dict[UUID, str] = {}
        self.away = False

    async def same_body(self, request_id: UUID, body_digest: str) -> bool:
        return self.away or self.bodies.setdefault(request_id, body_digest) == body_digest


class MemoryStatuses:
    """The router's views, as far as the door looks."""

    def __init__(self) -> None:
        self.settled: dict[UUID, Reply] = {}
        self.parked: set[UUID] = set()
        self.dispatched: set[UUID] = set()
        self.away = False

    async def outcomes(self, requests: Collection[UUID]) -> Mapping[UUID, Reply]:
        return {request: self.settled[request] for request in requests if request in self.settled}

    async def codes(self, requests: Collection[UUID]) -> Mapping[UUID, int]:
        return {request: reply.status for request, reply in (await self.outcomes(requests)).items()}

    async def status(self, request_id: UUID) -> Status:
        if self.away:
            raise DependencyAway("postgres: ConnectionRefusedError")
        if request_id in self.settled:
            return Status("settled", self.settled[request_id])
        return Status("parked" if request_id in self.parked else "pending", dispatched=request_id in self.dispatched)


class MemoryResponses:
    """What was asked, as long as the process lasts."""

    def __init__(self) -> None:
        self.kept: dict[UUID, Kept] = {}
        self.away = False

    async def keep(self, kept: Kept) -> None:
        self._check()
        self.kept.setdefault(kept.request_id, kept)

    async def find(self, request_id: UUID, tenant: str) -> Kept | None:
        self._check()
        kept = self.kept.get(request_id)
        return kept if kept and kept.tenant == tenant else None

    async def chain(self, request_id: UUID, tenant: str) -> Sequence[Kept]:
        kept = await self.find(request_id, tenant)
        if kept is None:
            return []
        return [*(await self.chain(kept.previous, tenant) if kept.previous else ()), kept]

    async def forget(self, request_id: UUID, tenant: str) -> bool:
        known = await self.find(request_id, tenant) is not None
        if known:
            del self.kept[request_id]
        return known

    def _check(self) -> None:
        if self.away:
            raise DependencyAway("postgres: ConnectionRefusedError")


class NoPostgres(Postgres):
    """A database that is away."""

    def __init__(self) -> None:
        """There is nothing to connect to."""

    async def run(self, work: Work[T]) -> T:  # noqa: ARG002 - nothing can be done
        raise DependencyAway("postgres: ConnectionRefusedError")


class OneParkingLot:
    """Parking space for all tenants together, without end until told that it is full."""

    def __init__(self) -> None:
        self.reason: str | None = None

    def full(self, tenant: str) -> str | None:
        return f"{tenant}: {self.reason}" if self.reason else None


@dataclass
class Submitted:
    """A request as the pipeline sees it, and the means to answer it."""

    record: Record
    broker: MemoryBroker

    @property
    def request_id(self) -> UUID:
        return ids.request_id(topics.tenant_of_requests(self.record.topic), self.record.text(headers.CE_ID) or "")

    @property
    def body(self) -> Any:
        return msgspec.json.decode(self.record.value or b"null")

    async def deltas(self, call_id: str, *parts: tuple[str, ...], first: int = 0) -> None:
        """Publish deltas of a call, each with its chunks."""
        for sequence, events in enumerate(parts, start=first):
            delta = Delta(call_id=call_id, sequence=sequence, events=events, has_content=True)
            who = {headers.DEPLOYMENT: "openai/gpt", headers.MODEL: "gpt-5.2", headers.PROCESSED_IN: "us"}
            told = who if sequence == 0 else {}
            await self._publish(topics.DELTAS, delta.to_json(), EventType.DELTA, **told)

    async def reply(self, body: Any = ANSWER, status: int = 200, outcome: str = "answered", **said: str) -> None:
        """Publish the outcome."""
        told = {headers.STATUS: str(status), headers.OUTCOME: outcome, headers.MODEL: "gpt-5.2", headers.ATTEMPTS: "1"}
        named = {name.replace("_", "-"): value for name, value in said.items()}
        await self._publish(topics.DOOR, msgspec.json.encode(body), EventType.SETTLED, **told, **named)

    async def conflict(self) -> None:
        """Publish that the key was used for another body."""
        body = {"error": {"message": "used", "type": "invalid_request_error", "code": "idempotency_conflict"}}
        await self._publish(topics.DOOR, msgspec.json.encode(body), EventType.CONFLICTED, **{headers.STATUS: "422"})

    async def _publish(self, topic: str, value: bytes, event: EventType, **said: str) -> None:
        address = DoorAddress.verify(self.record.text(headers.DOOR) or "", self.request_id, SECRET)
        assert address is not None
        echoed = ((headers.CORRELATION_ID, self.record.header(headers.CORRELATION_ID)),)
        given = tuple((name, text.encode()) for name, text in {headers.CE_TYPE: event.value, **said}.items())
        key = str(self.request_id).encode()
        await self.broker.publisher.publish([Message(topic, value, key, (*given, *echoed), address.partition)])


Script = Callable[[Submitted], Awaitable[None]]


@dataclass
class Site:
    """A door that is open, and what lies behind it."""

    broker: MemoryBroker
    room: WaitingRoom
    conflicts: MemoryConflicts
    statuses: MemoryStatuses
    limits: OneParkingLot
    responses: MemoryResponses
    payloads: MemoryPayloads
    library: Library
    keyring: Keyring
    probes: Probes
    base_url: str = ""
    feeding: Means = field(init=False)
    script: Script = field(default=Submitted.reply)
    seen: list[Submitted] = field(default_factory=list[Submitted])

    async def pipeline(self) -> None:
        """Answer whatever is submitted, each as the script says."""
        named = [topics.requests(tenant) for tenant in ("demo", "other")]
        partitions = [TopicPartition(t, n) for t in named for n in range(self.broker.partitions(t) or 0)]
        async with TailConsumer(self.broker, partitions) as tail, asyncio.TaskGroup() as group:
            async for batch in tail:
                for record in batch:
                    submitted = Submitted(record, self.broker)
                    self.seen.append(submitted)
                    group.create_task(self._answer(submitted))

    async def _answer(self, submitted: Submitted) -> None:
        await self.script(submitted)


@asynccontextmanager
async def opened(
    configuration: Configuration,
    *,
    patience: Patience | None = None,
    max_waiting: int = 100,
    accept_timeout: float = 5.0,
    tenants_with_topics: Collection[str] = ("demo", "other"),
    failpoints: Failpoints = OFF,
    postgres: Postgres | None = None,
) -> AsyncGenerator[Site]:
    """A door over HTTP with everything behind it in memory."""
    requests = [topics.requests(tenant) for tenant in tenants_with_topics]
    broker = MemoryBroker(dict.fromkeys([*requests, topics.DOOR, topics.DELTAS, topics.RESULTS], PARTITIONS))
    site = Site(
        broker,
        WaitingRoom(),
        MemoryConflicts(),
        MemoryStatuses(),
        OneParkingLot(),
        MemoryResponses(),
        MemoryPayloads(),
        Library(postgres or NoPostgres()),
        Keyring(SECRET),
        Probes(),
    )
    site.keyring.replace(KEYS, configuration)
    acceptance = Acceptance(
        room=site.room,
        conflicts=site.conflicts,
        parking=site.limits,
        publish=Coalesced(broker.publisher, timeout=accept_timeout).publish,
        keep_body=site.payloads.put,
        door=DOOR,
        secret=SECRET,
        failpoints=failpoints,
    )
    house = House(
        configuration=configuration,
        keyring=site.keyring,
        acceptance=acceptance,
        statuses=site.statuses,
        responses=site.responses,
        library=site.library,
        payloads=site.payloads,
        probes=site.probes,
        clock=SystemClock(),
        patience=patience or Patience(),
        max_waiting=max_waiting,
    )
    deliveries = Deliveries(site.room)
    site.feeding = Means(site.library, site.statuses, site.payloads, acceptance, SystemClock(), "feeder")
    here = [TopicPartition(topic, DOOR.partition) for topic in (topics.DOOR, topics.DELTAS)]
    async with TailConsumer(broker, here) as tail, serving(doors(house), "127.0.0.1", 0, grace_s=1) as port:
        tasks = [
            asyncio.create_task(deliveries.follow(tail)),
            asyncio.create_task(deliveries.look_up(site.statuses.outcomes, every=0.1)),
            asyncio.create_task(site.pipeline()),
        ]
        site.base_url = f"http://127.0.0.1:{port}"
        try:
            yield site
        finally:
            await cancel(*tasks)
