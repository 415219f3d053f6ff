"""A producer that is discarded fails what is in it, and nothing else happens."""

import asyncio
from typing import Any

import pytest
from aiokafka import TopicPartition

from allweather.messaging.kafka.client import Discarded, ProducerClient
from allweather.messaging.kafka.settings import Connection

AT = TopicPartition("ai.internal.results.v1", 0)


async def test_a_batch_that_was_to_be_sent_again_fails_like_the_others():
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, complaint: complaints.append(complaint))
    client = ProducerClient(Connection("127.0.0.1:1", client_id="test"), compress=False)
    producer: Any = client._producer  # pyright: ignore[reportPrivateUsage] - there is no other way to a batch's retry
    accumulator = producer._message_accumulator
    sent = await accumulator.add_message(AT, b"key", b"value", 1.0)
    producer._txn_manager.set_pid_and_epoch(1, 0)
    accumulator.reenqueue(accumulator._pop_batch(AT))

    await client.discard()

    with pytest.raises(Discarded):
        await sent
    assert complaints == []
