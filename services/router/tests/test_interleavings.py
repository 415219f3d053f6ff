"""Crashes, zombies and redelivery: whatever the order, a request has one chain of steps and one outcome.

The real handler on the memory's tables, several replicas at once. A replica may stop between any two of its
awaits: that is where a crash leaves things, and where a zombie wakes up again.
"""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allweather.contracts import headers, topics
from allweather.contracts.failures import FailureKind
from allweather.contracts.records import Dispatch, decode
from allweather.messaging import Message, Record
from allweather.router.events import Occurrence
from allweather.router.parking import Parking
from allweather.router.steps import Key, Row
from allweather.router.testing.memory import MemoryTables
from allweather.router.testing.records import a_slip, attempted, cleared, configuration, ended
from allweather.router.testing.world import World

CONFIG = configuration()


class Crash(Exception):
    """The process dies here."""


class Interrupted(MemoryTables):
    """Tables whose calls may come back late, or never, by the dice of one schedule."""

    def __init__(self, shared: MemoryTables, dice: random.Random) -> None:
        super().__init__()
        self.rows, self.parked, self.waiting = shared.rows, shared.parked, shared.waiting
        self._dice = dice

    async def load(self, keys: Collection[Key]) -> dict[Key, Row]:
        await self._maybe()
        found = await super().load(keys)
        await self._maybe()
        return found

    async def take(
        self,
        rows: Collection[Row],
        parkings: Collection[Parking] = (),
        unpark: Collection[UUID] = (),
        *,
        even_settled: bool = False,
    ) -> set[Key]:
        await self._maybe()
        taken = await super().take(rows, even_settled=even_settled)
        await self._maybe()
        return taken

    async def _maybe(self) -> None:
        for _ in range(self._dice.randrange(3)):
            await asyncio.sleep(0)
        if self._dice.random() < 0.08:
            raise Crash


async def schedule(seed: int) -> tuple[list[Message], MemoryTables]:
    """Several requests through several replicas, every record delivered at least once; what was published."""
    dice = random.Random(seed)
    shared = MemoryTables()
    log = World(shared, shared, CONFIG)
    published: list[Message] = []
    waiting: list[Record] = []
    for n in range(3):
        slip = a_slip(f"ticket-{n}")
        waiting.append(await log.record(cleared(slip)))
        if dice.random() < 0.3:
            waiting.append(await log.record(cleared(slip, submission="again")))
        if dice.random() < 0.2:
            waiting.append(await log.record(ended(slip, nameless=True)))
    while waiting:
        batches = [_some(waiting, dice) for _ in range(dice.randint(1, 3))]
        outputs = await asyncio.gather(*(_deliver(batch, shared, dice) for batch in batches))
        for batch, output in zip(batches, outputs, strict=True):
            published += output or []
            for message in output or []:
                waiting += await _consequences(message, log, dice)
            if output is not None and dice.random() < 0.9:  # else dead before the commit: its records come again
                waiting = [record for record in waiting if record not in batch]
    return published, shared


def _some(waiting: Sequence[Record], dice: random.Random) -> list[Record]:
    return dice.sample(waiting, dice.randint(1, min(4, len(waiting))))


async def _deliver(batch: list[Record], shared: MemoryTables, dice: random.Random) -> list[Message] | None:
    replica = World(Interrupted(shared, dice), shared, CONFIG)
    try:
        return await replica.redeliver(*batch)
    except Crash:
        return None


async def _consequences(message: Message, log: World, dice: random.Random) -> list[Record]:
    """A worker calls; after a crash of its own it calls, and reports, twice."""
    if not message.topic.startswith("ai.internal.dispatch."):
        return []
    kinds: list[Any] = [None, None, FailureKind.UNAVAILABLE, FailureKind.NOT_CALLED, FailureKind.REFUSED]
    return [await log.record(attempted(message, dice.choice(kinds))) for _ in range(dice.choice([1, 1, 1, 2]))]


class Held(MemoryTables):
    """Tables whose next insert is held back: its process stands still there."""

    def __init__(self, shared: MemoryTables) -> None:
        super().__init__()
        self.rows, self.parked, self.waiting = shared.rows, shared.parked, shared.waiting
        self.arrived, self.go_on = asyncio.Event(), asyncio.Event()

    async def take(
        self,
        rows: Collection[Row],
        parkings: Collection[Parking] = (),
        unpark: Collection[UUID] = (),
        *,
        even_settled: bool = False,
    ) -> set[Key]:
        self.arrived.set()
        await self.go_on.wait()
        return await super().take(rows, parkings, unpark, even_settled=even_settled)


async def settled_by_a_zombie() -> tuple[list[list[Message]], bool]:
    """Two results of one attempt. A replica that has stood still decides on one that comes second everywhere else.

    What the living replica and then the zombie publish for it, and whether it settles the request.
    """
    shared = MemoryTables()
    living, held = World(shared, shared, CONFIG), Held(shared)
    zombie = World(held, shared, CONFIG)
    (dispatched,) = await living.handle(cleared(a_slip()))
    answer = await living.record(attempted(dispatched, None))
    deciding = asyncio.create_task(zombie.redeliver(answer))
    await held.arrived.wait()
    await living.handle(attempted(dispatched, FailureKind.UNAVAILABLE))
    published = await living.redeliver(answer)

    held.go_on.set()

    return [published, await deciding], any(row.step == "outcome" for row in shared.rows.values())


async def test_a_zombie_does_not_settle_with_a_record_that_others_have_dropped():
    assert await settled_by_a_zombie() == ([[], []], False)


async def test_were_it_not_for_its_place_in_the_chain_a_late_answer_would_settle(monkeypatch: pytest.MonkeyPatch):
    def nowhere(_seen: Occurrence) -> None:
        """No place in the chain."""

    monkeypatch.setattr("allweather.router.arbitration._place", nowhere)

    assert (await settled_by_a_zombie())[1]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
async def test_a_request_has_one_chain_and_one_answer(seed: int):
    published, tables = await schedule(seed)

    replies: defaultdict[bytes | None, set[bytes | None]] = defaultdict(set)
    steps: defaultdict[tuple[bytes | None, bytes | None], set[bytes | None]] = defaultdict(set)
    attempts: defaultdict[bytes | None, set[tuple[int, str]]] = defaultdict(set)
    for message in published:
        event = dict(message.headers)[headers.CE_ID]
        steps[message.key, event].add(message.value)
        if message.topic == topics.replies("demo"):
            replies[message.key].add(message.value)
        elif message.topic != topics.PARKED:
            call = decode(message.value).read(Dispatch)
            attempts[message.key].add((call.n, call.deployment))
    assert all(len(values) == 1 for values in steps.values()), "a step is carried out in one way only"
    assert all(len(answers) == 1 for answers in replies.values()), "an answer may come twice, but not another one"
    for calls in attempts.values():
        numbers = Counter(n for n, _ in calls)
        assert set(numbers.values()) == {1}, "an attempt goes to one deployment"
    ended_ = {key for key, row in tables.rows.items() if row.step == "outcome" or row.step.startswith("parked")}
    assert {request for request, _ in ended_} == {request for request, _ in tables.rows}
    settled = {str(request).encode() for (request, _), row in tables.rows.items() if row.step == "outcome"}
    assert set(replies) == settled, "every outcome is answered, and nothing else"
