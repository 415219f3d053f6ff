"""A connection whose socket uvloop has closed: an error that the client knows how to live with."""

from typing import Any

import pytest
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.admin import ListGroupsRequest

from allweather.messaging.kafka import client

assert client  # whose import has every connection send through ours


class Refusing:
    """A writer, and its transport, as uvloop's are between a reset and the turn of the task that reads."""

    def __init__(self, *, closed: bool) -> None:
        self.transport = self
        self._closed = closed

    def is_closing(self) -> bool:
        return self._closed

    def write(self, _: bytes) -> None:
        raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")


class Watched(AIOKafkaConnection):
    """Remembers why it was closed."""

    def __init__(self, writer: Refusing) -> None:
        super().__init__("127.0.0.1", 9092)  # pyright: ignore[reportUnknownMemberType]
        self._writer: Any = writer
        self._versions = {ListGroupsRequest.API_KEY: (0, 0)}
        self.closed_for: list[CloseReason] = []

    def close(self, reason: Any = None, exc: Any = None) -> None:
        self.closed_for.append(reason)


async def test_to_write_to_a_socket_that_is_closed_breaks_the_connection_and_nothing_else():
    connection: Any = Watched(Refusing(closed=True))

    with pytest.raises(KafkaConnectionError, match="the handler is closed"):
        connection.send(ListGroupsRequest())

    assert connection.closed_for == [CloseReason.CONNECTION_BROKEN]


async def test_another_error_of_the_loop_is_not_taken_for_a_broken_connection():
    connection: Any = Watched(Refusing(closed=False))

    with pytest.raises(RuntimeError, match="the handler is closed"):
        connection.send(ListGroupsRequest())

    assert connection.closed_for == []
