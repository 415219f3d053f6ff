"""Members that come, go, hang, crash and are put out, in random order: no record is ever passed unfinished."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from allweather.messaging import ConcurrentConsumer, MemoryBroker, Message, OrderedConsumer, Outputs, Record
from allweather.messaging.offsets import read_note
from allweather.messaging.tasks import cancel
from allweather.messaging.testing import QUICK, eventually

SOURCE, TARGET, RECORDS = "ai.internal.source.v1", "ai.internal.target.v1", 300
PACE = replace(QUICK, commit_interval=0.001, revoke_grace=0.002, rejoin_after=0.001, max_records=20)


class Copying:
    """A handler that takes a while, never the same."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    async def batch(self, records: Sequence[Record]) -> Outputs:
        await asyncio.sleep(self._chance.choice([0, 0, 0.001, 0.005]))
        return Outputs([Message(TARGET, record.value, record.key) for record in records])

    async def record(self, record: Record) -> Outputs:
        return await self.batch([record])


Consumer = OrderedConsumer | ConcurrentConsumer
Make = Callable[[MemoryBroker, random.Random], Consumer]


def ordered(broker: MemoryBroker, chance: random.Random) -> Consumer:
    return OrderedConsumer(broker, Copying(chance).batch, group="g", topics=[SOURCE], pace=PACE)


def concurrent(broker: MemoryBroker, chance: random.Random) -> Consumer:
    return ConcurrentConsumer(broker, Copying(chance).record, group="g", topics=[SOURCE], window=8, pace=PACE)


@pytest.mark.parametrize("make", [ordered, concurrent])
@pytest.mark.parametrize("seed", range(12))
async def test_committed_place_says_only_what_is_finished(make: Make, seed: int) -> None:
    chance = random.Random(seed)
    broker = MemoryBroker({SOURCE: 3, TARGET: 1})
    members: list[tuple[asyncio.Task[None], asyncio.Event]] = []

    def come() -> None:
        stopping = asyncio.Event()
        members.append((asyncio.create_task(make(broker, chance).run(stopping)), stopping))

    async def go() -> None:
        task, stopping = members.pop(chance.randrange(len(members)))
        if chance.random() < 0.5:
            await cancel(task)
        else:
            stopping.set()
            await task

    published = 0
    while published < RECORDS or not members:
        step = chance.random()
        if step < 0.3 and len(members) < 4:
            come()
        elif step < 0.45 and members:
            await go()
        elif step < 0.55:
            broker.evict("g")
        else:
            count = chance.randrange(1, 20)
            await broker.publish([Message(SOURCE, str(published + n).encode()) for n in range(count)])
            published += count
        await asyncio.sleep(chance.choice([0, 0.001, 0.003]))
        await _check(broker)
    await eventually(lambda: len({record.value for record in broker.records(TARGET)}) == published)
    while members:
        await go()
    await _check(broker)


async def _check(broker: MemoryBroker) -> None:
    places = await broker.committed("g")
    finished = {record.value for record in broker.records(TARGET)}
    for record in broker.records(SOURCE):
        place = places.get(record.position)
        if place and (record.offset < place.offset or record.offset in read_note(place)):
            assert record.value in finished
