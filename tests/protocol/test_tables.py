"""The simulated tables answer as Postgres does: the same statements, one after another, on both."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from msgspec import structs
from msgspec.structs import replace
from pydantic import SecretStr
from simulator.chance import Chance
from simulator.loop import Process, SimLoop
from simulator.net import Net
from simulator.postgres import Postgres
from simulator.tables import SimParkedQueue, SimStepTable, Tables

from allweather.contracts.slip import ReplyAddress, Slip
from allweather.messaging import Record, TransientError
from allweather.router.adapters.parked import ParkedQueue
from allweather.router.adapters.steps import StepTable
from allweather.router.app import MIGRATIONS
from allweather.router.events import Cause
from allweather.router.handlers import Steps
from allweather.router.intake import read
from allweather.router.parking import Grant, Parking, Waiting
from allweather.router.release import ParkedRequests
from allweather.router.steps import OUTCOME_POSITION, Row
from allweather.router.testing.records import BODY, T0, a_slip, cleared
from allweather.runtime.migrations import migrate
from allweather.runtime.postgres import open_postgres

SLIPS = [a_slip(f"ticket-{n}", accepted_at_ms=T0 + n, deadline_ms=T0 + 1_000 * n, parks=1) for n in range(3)]
"""No two of the same age, which Postgres would return in any order."""
STEPS = 60
SEEDS = range(8)


def statements(seed: int) -> list[Any]:
    """What a router might ask of its tables, in any order."""
    dice = random.Random(seed)
    return [dice.choice([_take, _take, _load, _wait, _let_go, _expire])(dice) for _ in range(STEPS)]


async def play(asked: Sequence[Any], steps: Steps, parked: ParkedRequests) -> list[Any]:
    """What the tables answer."""
    return [await one(steps, parked) for one in asked]


def _take(dice: random.Random) -> Any:
    slip = structs.replace(dice.choice(SLIPS), position=dice.randrange(1, 4))
    verdict, step = _row(slip, 0), _row(slip, dice.choice([slip.position, slip.position, OUTCOME_POSITION]))
    rows = dice.choice([[step], [verdict, replace(step, after=0)], [replace(verdict, after=step.position), step]])
    not_before_ms, partition = T0 + dice.randrange(2_000), dice.choice([None, 0, 1])
    parking = Parking(slip.request_id, slip.parks, partition, not_before_ms, slip, BODY, bytes=len(BODY))
    parkings = [parking] if step.position == slip.position and dice.random() < 0.7 else []
    unpark = [slip.request_id] if dice.random() < 0.1 else []

    async def ask(steps: Steps, _parked: ParkedRequests) -> Any:
        return sorted(await steps.take(rows, parkings, unpark))

    return ask


def _load(dice: random.Random) -> Any:
    keys = {(slip.request_id, position) for slip in SLIPS for position in (0, dice.randrange(1, 4), OUTCOME_POSITION)}

    async def ask(steps: Steps, _parked: ParkedRequests) -> Any:
        found = await steps.load(keys)
        return sorted((key, replace(row, after=None)) for key, row in found.items())  # `after` is not kept

    return ask


def _wait(dice: random.Random) -> Any:
    message = cleared(structs.replace(dice.choice(SLIPS), reply=ReplyAddress(topic=f"t-{dice.randrange(3)}")))
    offset = dice.randrange(3)
    seen = [read(Record(message.topic, 0, offset, T0, message.key, message.value, message.headers))]

    async def ask(steps: Steps, _parked: ParkedRequests) -> Any:
        await steps.wait(seen, T0)
        waiting = await steps.waiters({slip.request_id for slip in SLIPS})
        return sorted((request, sorted(a.topic for a in addresses)) for request, addresses in waiting.items())

    return ask


def _let_go(dice: random.Random) -> Any:
    now_ms, limit, mine = T0 + dice.randrange(3_000), dice.randrange(1, 3), dice.choice([{0}, {1}, {0, 1}])

    async def ask(_steps: Steps, parked: ParkedRequests) -> Any:
        queues = sorted(await parked.queues(), key=str)
        waiting = sorted({(queue.priority, queue.tenant) for queue in queues})
        grants = [Grant(*who, [q.lane for q in queues if (q.priority, q.tenant) == who], limit) for who in waiting]
        due = await parked.due(queues, now_ms)
        gone = await parked.let_go(grants, mine, now_ms, _published)
        return str(queues), sorted(map(str, due)), [_known(waiting) for waiting in gone]

    return ask


def _expire(dice: random.Random) -> Any:
    now_ms = T0 + dice.randrange(3_000)

    async def ask(_steps: Steps, parked: ParkedRequests) -> Any:
        return [_known(waiting) for waiting in await parked.expire(now_ms, 10, _published)]

    return ask


async def _published(waiting: Sequence[Waiting]) -> None:
    """The broker is there."""


def _known(waiting: Waiting) -> tuple[Any, ...]:
    return waiting.request_id, waiting.n, waiting.tenant, waiting.slip, waiting.body


def _row(slip: Slip, position: int) -> Row:
    reply = b"reply" if position == OUTCOME_POSITION else None
    cause = Cause("ai.internal.results.v1", 0, position)
    return Row(slip.request_id, position, f"step-{position}", slip.tenant, cause, "cause", T0, slip.to_json(), reply)


def simulated(asked: Sequence[Any], seed: int) -> list[Any]:
    """What the simulated tables answer, on a network without faults."""
    loop, answers = SimLoop(), list[Any]()
    postgres, tables = Postgres(Net(loop, Chance(seed))), Tables()

    async def ask() -> None:
        answers.extend(await play(asked, SimStepTable(postgres, tables), SimParkedQueue(postgres, tables)))

    Process(loop, "router").spawn(ask())
    loop.run(10_000)
    assert loop.complaints == []
    return answers


@pytest.fixture
async def postgres(postgres_dsn: str) -> AsyncIterator[tuple[StepTable, ParkedQueue]]:
    """The real tables, empty."""
    dsn = SecretStr(postgres_dsn)
    await migrate(dsn, schema="router", folder=MIGRATIONS)
    async with open_postgres(dsn, name="protocol-test", away=TransientError) as opened:
        await opened.pool.execute("TRUNCATE router.steps, router.parked, router.waiters")
        yield StepTable(opened), ParkedQueue(opened)


@pytest.mark.stack
@pytest.mark.parametrize("seed", SEEDS)
async def test_the_simulated_tables_answer_as_postgres(seed: int, postgres: tuple[StepTable, ParkedQueue]):
    asked = statements(seed)

    expected = await play(asked, *postgres)

    # In a thread of its own: one loop cannot run inside of another.
    assert await asyncio.to_thread(simulated, asked, seed) == expected
