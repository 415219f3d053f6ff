"""A log on a real Postgres, with the memory's topics around it."""

from collections.abc import AsyncIterator, Iterable, Sequence

import asyncpg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr

from allweather.audit_sink.adapters.archive import Archive
from allweather.audit_sink.adapters.log import Log
from allweather.audit_sink.app import MIGRATIONS, SCHEMA
from allweather.audit_sink.backlog import Backlog
from allweather.audit_sink.checkpoints import Signer
from allweather.audit_sink.handlers import Sink
from allweather.audit_sink.publishing import Publishing
from allweather.audit_sink.verification import Report, verify
from allweather.contracts import topics
from allweather.contracts.examples import all_examples
from allweather.contracts.records import EventType
from allweather.failpoints import OFF, Failpoints
from allweather.messaging import MemoryBroker, Message, Record, TopicPartition, TransientError
from allweather.runtime.clock import FixedClock
from allweather.runtime.migrations import migrate
from allweather.runtime.postgres import Postgres, open_postgres

SHARDS = 2
PUBLIC_LOG = "allweather.local/test"
EXAMPLES = [example for example in all_examples() if example.event is not EventType.DELTA]
SOURCES = sorted({example.topic for example in EXAMPLES})


class World:
    """The sink's surroundings, and itself as often as it is started."""

    def __init__(self, dsn: str, postgres: Postgres) -> None:
        self.dsn, self.postgres = dsn, postgres
        self.broker = MemoryBroker(dict.fromkeys([*SOURCES, topics.AUDIT_ENTRIES, topics.AUDIT_CHECKPOINTS], SHARDS))
        self.clock = FixedClock()
        self.signer = Signer(PUBLIC_LOG, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
        self.backlog = Backlog()
        self.sink = self.start()

    def start(self, failpoints: Failpoints = OFF) -> Sink:
        """The sink of a new process, which knows nothing of the one before."""
        self.tables = Log(self.postgres, failpoints)
        self.sink = Sink(self.tables, self.backlog)
        self.publishing = Publishing(
            self.tables,
            lambda: self.sink.shards,
            self.backlog,
            signer=self.signer,
            publisher=self.broker.publisher,
            clock=self.clock,
        )
        return self.sink

    async def publish(self, requests: int) -> None:
        """Let the pipeline write every kind of record for so many requests, on all partitions."""
        await self.broker.publisher.publish(
            [
                Message(
                    example.topic,
                    example.value,
                    example.headers["ce_subject"].encode(),
                    tuple((name, value.encode()) for name, value in example.headers.items()),
                    partition=number % SHARDS,
                )
                for number in range(requests)
                for example in EXAMPLES
            ]
        )

    def sources(self) -> list[TopicPartition]:
        """Every partition of the pipeline."""
        return [TopicPartition(topic, shard) for topic in SOURCES for shard in range(SHARDS)]

    def waiting(self) -> list[Record]:
        """Every record of the pipeline, in one order that is always the same."""
        return [record for topic in SOURCES for record in self.broker.records(topic)]

    async def deliver(self, batches: Iterable[Sequence[Record]]) -> None:
        """Hand the batches to the sink as a consumer does: only what comes after its start offsets."""
        starts = await self.sink.start_offsets(self.sources())
        for batch in batches:
            if records := [record for record in batch if record.offset >= starts[record.position]]:
                await self.sink(records)

    async def audit(self, requests: int, *, rounds: int = 3) -> None:
        """A log over so many requests, with a checkpoint after each of some rounds."""
        for _ in range(rounds):
            await self.publish(requests)
            await self.deliver([self.waiting()])
            await self.publishing.round()
            self.clock.advance(1)

    async def roots(self) -> list[str]:
        return [head.frontier.root.hex() for head in await self.tables.heads(range(SHARDS))]

    async def verify(self) -> Report:
        return await verify(Archive(self.postgres), self.broker, self.signer.verifier)

    async def empty(self) -> None:
        """Forget the log."""
        await self.tamper(
            "TRUNCATE audit.trees, audit.entries, audit.nodes, audit.offsets, audit.checkpoints RESTART IDENTITY"
        )

    async def tamper(self, *statements: str) -> None:
        """Do what a database administrator can: the guards are off."""
        connection = await asyncpg.connect(self.dsn)
        try:
            async with connection.transaction():
                await connection.execute("SET LOCAL session_replication_role TO replica")
                for statement in statements:
                    await connection.execute(statement)
        finally:
            await connection.close()


@pytest.fixture
async def world(postgres_dsn: str) -> AsyncIterator[World]:
    """A new log in an empty schema."""
    async with open_postgres(SecretStr(postgres_dsn), name="audit-sink", away=TransientError) as postgres:
        world = World(postgres_dsn, postgres)
        if await postgres.run(lambda connection: connection.fetchval("SELECT to_regclass('audit.trees')")):
            await world.empty()
        else:
            await migrate(SecretStr(postgres_dsn), schema=SCHEMA, folder=MIGRATIONS)
        yield world
