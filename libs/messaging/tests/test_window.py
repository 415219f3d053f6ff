"""What waits for somebody else's work takes no place."""

import asyncio

import pytest

from allweather.messaging import ConcurrentConsumer, MemoryBroker, Outputs, Record, stepping_aside
from allweather.messaging.suite import numbered
from allweather.messaging.testing import QUICK, eventually, running
from allweather.messaging.window import Window

TOPIC = "ai.internal.a.v1"


async def test_records_that_step_aside_hold_up_nobody():
    """Two that wait for another process, in a window of one: the third is handled, and then they are, one by one."""
    broker = MemoryBroker({TOPIC: 1})
    elsewhere, handled, at_once, most = asyncio.Event(), list[int](), 0, 0

    async def handle(record: Record) -> Outputs:
        nonlocal at_once, most
        if record.offset < 2:
            async with stepping_aside():
                await elsewhere.wait()
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0)
        at_once -= 1
        handled.append(record.offset)
        return Outputs()

    await broker.publish(numbered(TOPIC, 3))
    async with running(ConcurrentConsumer(broker, handle, group="g", topics=[TOPIC], window=1, pace=QUICK)):
        await eventually(lambda: handled == [2])
        elsewhere.set()
        await eventually(lambda: sorted(handled) == [0, 1, 2])

    assert most == 1


async def test_nobody_steps_aside_outside_of_a_consumer():
    async with stepping_aside():
        pass


class Hand:
    """A window of one, and the records in hand."""

    def __init__(self) -> None:
        self.records = 0
        self.window = Window(1, lambda: self.records, lambda: None)
        self.window.adopt()


async def test_who_fails_aside_gives_its_place_up_for_good():
    hand = Hand()
    hand.records = 1

    async def fail() -> None:
        async with stepping_aside():
            assert not hand.window.full
            raise ValueError("lost")

    with pytest.raises(ValueError, match="lost"):
        await fail()
    assert hand.window.full

    hand.records = 0

    assert not hand.window.full


async def test_who_comes_back_goes_before_who_is_new():
    hand = Hand()
    hand.records = 1
    go_on = asyncio.Event()

    async def aside() -> None:
        async with stepping_aside():
            await go_on.wait()

    returning = asyncio.create_task(aside())
    await asyncio.sleep(0)
    hand.records = 2  # somebody new has the place
    go_on.set()
    await asyncio.sleep(0)
    waits = not returning.done()
    hand.records = 1
    full = hand.window.full
    hand.window.freed()
    await returning

    assert (waits, full) == (True, True)
    assert hand.window.full


async def test_who_is_cancelled_on_its_way_back_holds_nothing():
    hand = Hand()
    hand.records = 1

    async def aside() -> None:
        async with stepping_aside():
            hand.records = 2

    returning = asyncio.create_task(aside())
    await asyncio.sleep(0)
    returning.cancel()
    await asyncio.wait({returning})
    hand.records = 0

    assert not hand.window.full
