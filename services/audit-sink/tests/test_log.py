"""The sink on a real Postgres: every record once, whatever crashes and whoever else writes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

import allweather.audit_sink
from allweather.audit_sink.adapters.log import FrontierMoved, Log, LogRewound
from allweather.audit_sink.backlog import Backlog
from allweather.audit_sink.handlers import Sink
from allweather.failpoints import OFF, FailpointReached, Failpoints
from allweather.messaging import Record, TopicPartition, TransientError
from allweather.runtime.migrations import migrate
from allweather.runtime.postgres import Postgres, open_postgres

MIGRATIONS = Path(allweather.audit_sink.__file__).parent / "migrations"


async def test_x(postgres_dsn):
    await migrate(SecretStr(postgres_dsn), schema="audit", folder=MIGRATIONS)
    async with open_postgres(SecretStr(postgres_dsn), name="test", away=TransientError) as pg:
        sink = Sink(Log(pg), Backlog())
        print(await sink.start_offsets([TopicPartition("a", 0), TopicPartition("b", 1)]))
        await sink([Record("ai.internal.results.v1", 0, n, 1, b"k", b"{}") for n in range(300)])
        print(sink.shards)
        print(await sink._tables.heads([0,1]))
