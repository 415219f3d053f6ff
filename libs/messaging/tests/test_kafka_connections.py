"""Connections of the client: messages in pieces, answers that do not come, sockets that uvloop has closed."""

import asyncio
import gc
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any
from weakref import ref

import pytest
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import CorrelationIdError, KafkaConnectionError
from aiokafka.protocol.admin import ListGroupsRequest

from allweather.messaging.kafka import client, connections

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


class Receiving:
    """What the reading task knows of a connection."""

    def __init__(self) -> None:
        self.reader = self._reader = asyncio.StreamReader()
        self.frames: list[bytes] = []

    def _handle_frame(self, frame: bytes) -> None:
        self.frames.append(frame)

    def give(self, data: bytes) -> None:
        self.reader.feed_data(data)

    def end(self) -> None:
        self.reader.feed_eof()


def framed(*messages: bytes) -> bytes:
    return b"".join(len(message).to_bytes(4, "big") + message for message in messages)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 11, 1000])
async def test_messages_are_read_whole_in_whatever_pieces_they_come(size: int):
    receiving, messages = Receiving(), [b"a", b"", b"bcdefgh", b"i" * 9]
    data = framed(*messages)
    reading = asyncio.create_task(connections.receive(ref(receiving)))

    for at in range(0, len(data), size):
        receiving.give(data[at : at + size])
        await asyncio.sleep(0)
    receiving.give(framed(b"cut off")[:-1])
    receiving.end()

    with pytest.raises(asyncio.IncompleteReadError):
        await reading
    assert receiving.frames == messages


async def test_message_that_cannot_be_read_is_an_error_of_its_connection():
    class Failing(Receiving):
        def _handle_frame(self, frame: bytes) -> None:
            raise ValueError("cut off")

    receiving = Failing()
    reading = asyncio.create_task(connections.receive(ref(receiving)))
    await asyncio.sleep(0)
    receiving.give(framed(b"a", b"b"))

    with pytest.raises(ValueError, match="cut off"):
        await reading


async def test_reading_holds_no_connection_that_was_forgotten():
    receiving = Receiving()
    reader, known = receiving.reader, ref(receiving)
    reading = asyncio.create_task(connections.receive(known))
    await asyncio.sleep(0)

    del receiving
    gc.collect()
    assert known() is None

    reader.feed_data(framed(b"for nobody"))
    reader.feed_eof()
    with pytest.raises(asyncio.IncompleteReadError):
        await reading


Answer = Callable[[int], bytes]
"""What a server says to the request of an id."""

NO_GROUPS = bytes(6)
_VERSIONS = bytes(2) + (1).to_bytes(4, "big") + ListGroupsRequest.API_KEY.to_bytes(2, "big") + bytes(4)
"""It knows one kind of request, in its first version."""


def answered(request_id: int, body: bytes = NO_GROUPS) -> bytes:
    return framed(request_id.to_bytes(4, "big") + body)


@asynccontextmanager
async def connected(answer: Answer, *, timeout_ms: int = 40_000) -> AsyncGenerator[Any]:
    """A connection to a server that answers so, once it has said what it knows."""
    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while size := await reader.read(4):
            header = await reader.readexactly(int.from_bytes(size, "big"))
            request_id = int.from_bytes(header[4:8], "big")
            writer.write(answered(request_id, _VERSIONS) if request_id == 1 else answer(request_id))
        writer.close()
        await writer.wait_closed()
        served.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        connection: Any = AIOKafkaConnection("127.0.0.1", port, request_timeout_ms=timeout_ms)  # pyright: ignore[reportUnknownMemberType]
        await connection.connect()
        yield connection
        connection.close()
        await served.wait()


async def test_request_and_its_answer():
    async with connected(answered) as connection:
        response = await connection.send(ListGroupsRequest())

        assert (response.error_code, response.groups) == (0, [])
        assert not connection._requests


async def test_answer_to_another_request_closes_the_connection():
    async with connected(lambda request_id: answered(request_id + 1)) as connection:
        with pytest.raises(CorrelationIdError):
            await connection.send(ListGroupsRequest())

        assert not connection.connected()


async def test_answer_that_does_not_come_is_a_timeout():
    async with connected(lambda _: b"", timeout_ms=50) as connection:
        with pytest.raises(TimeoutError):
            await connection.send(ListGroupsRequest())


async def test_request_that_nobody_waits_for_any_more_takes_its_answer_with_it():
    async with connected(answered) as connection:
        connection.send(ListGroupsRequest()).cancel()

        assert (await connection.send(ListGroupsRequest())).groups == []
