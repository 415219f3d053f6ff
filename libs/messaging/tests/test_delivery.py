"""Delivery waits for the cluster, and not for a tenant."""

import asyncio

from allweather.messaging import MemoryBroker, Message, NoMetrics
from allweather.messaging.delivery import Delivery
from allweather.messaging.tasks import cancel
from allweather.messaging.testing import eventually

INTERNAL, MINE, OTHER = "ai.internal.x.v1", "ai.public.replies.mine.v1", "ai.public.replies.other.v1"


def opened() -> tuple[MemoryBroker, Delivery]:
    broker = MemoryBroker(dict.fromkeys([INTERNAL, MINE, OTHER, f"{MINE}.dlq"], 1))
    return broker, Delivery(broker, NoMetrics(), group="g", public_timeout=0.05)


async def test_everything_is_acknowledged_in_the_end() -> None:
    broker, delivery = opened()

    await delivery.send([Message(INTERNAL, b"a"), Message(MINE, b"b"), Message(OTHER, b"c")])

    assert [len(broker.records(topic)) for topic in (INTERNAL, MINE, OTHER)] == [1, 1, 1]


async def test_topic_that_takes_nothing_gets_its_message_dead_lettered_and_delays_no_other() -> None:
    broker, delivery = opened()
    broker.stuck.add(MINE)

    await delivery.send([Message(INTERNAL, b"a"), Message(MINE, b"b", b"k", (("h", b"v"),)), Message(OTHER, b"c")])

    (letter,) = broker.records(f"{MINE}.dlq")
    assert (letter.value, letter.key, letter.header("h")) == (b"b", b"k", b"v")
    assert letter.text("dlq-reason") == "the topic does not acknowledge"
    assert [len(broker.records(topic)) for topic in (INTERNAL, OTHER)] == [1, 1]


async def test_message_without_even_dead_letters_is_given_up() -> None:
    broker, delivery = opened()
    broker.stuck.add(OTHER)

    await delivery.send([Message(OTHER, b"c"), Message(INTERNAL, b"a")])

    assert len(broker.records(INTERNAL)) == 1


async def test_nothing_is_given_up_while_the_cluster_is_away() -> None:
    broker, delivery = opened()
    broker.away = True
    sending = asyncio.create_task(delivery.send([Message(MINE, b"b")]))
    await asyncio.sleep(0.2)  # several times the limit of an attempt
    assert not sending.done()

    broker.away = False
    await sending

    assert len(broker.records(MINE)) == 1
    assert broker.records(f"{MINE}.dlq") == []


async def test_internal_message_is_never_given_up() -> None:
    broker, delivery = opened()
    broker.stuck.add(INTERNAL)
    sending = asyncio.create_task(delivery.send([Message(INTERNAL, b"a"), Message(MINE, b"b")]))

    await eventually(lambda: len(broker.records(MINE)) == 1)

    assert not sending.done()
    await cancel(sending)
