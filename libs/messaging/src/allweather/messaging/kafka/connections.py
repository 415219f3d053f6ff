"""aiokafka's connections, with fewer steps for a message, and under uvloop.

aiokafka makes a context with a timer of its own for each answer, an object and a stream for each header, and has a task
read each message in two parts; a record that comes by itself makes four such messages in every service.

And a socket that is closed is an error of the connection, not of the program: between the reset of a connection and the
turn of the task that reads it, uvloop refuses to write with a RuntimeError. aiokafka expects an OSError there, so the
former would end whatever was sending: a commit, or for good the task that keeps its picture of the cluster.
"""

import time
from asyncio import Future, IncompleteReadError
from struct import Struct as Packing
from typing import Any, Final
from weakref import ReferenceType

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError

from allweather.messaging.kafka import wire_format

_library: Final[Any] = AIOKafkaConnection
_librarys_handle_frame: Final[Any] = _library._handle_frame
_INT32: Final = Packing(">i")
_HEADER: Final = Packing(">hhih")


def install() -> None:
    """Let everything that aiokafka sends and receives go through here."""
    _library.send, _library._handle_frame, _library._read = _send, _handle_frame, staticmethod(receive)


def _send(connection: Any, request: Any, expect_response: bool = True) -> Any:
    """Write a request. Returns what is awaited for its answer, or for room in the socket when there will be none."""
    if connection._writer is None:
        raise KafkaConnectionError(f"No connection to broker at {connection.host}:{connection.port}")
    prepared, correlation_id = request.prepare(connection._versions), connection._next_correlation_id()
    message = _header(connection, prepared, correlation_id) + prepared.encode()
    try:
        connection._writer.write(_INT32.pack(len(message)) + message)
    except (OSError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not connection._writer.transport.is_closing():
            raise
        connection.close(reason=CloseReason.CONNECTION_BROKEN)
        raise KafkaConnectionError(f"Connection at {connection.host}:{connection.port} broken: {error}") from error
    if not expect_response:
        return connection._writer.drain()
    answer: Future[Any] = connection._loop.create_future()
    connection._requests.append((correlation_id, prepared, answer))
    timer = connection._loop.call_later(connection._request_timeout, _expire, answer)
    answer.add_done_callback(lambda _: timer.cancel())
    return answer


def _header(connection: Any, request: Any, correlation_id: int) -> bytes:
    if request.FLEXIBLE_VERSION:
        return request.build_request_header(correlation_id, connection._client_id).encode()
    client_id = connection._client_id.encode()
    return _HEADER.pack(request.API_KEY, request.API_VERSION, correlation_id, len(client_id)) + client_id


def _expire(answer: Future[Any]) -> None:
    if not answer.done():
        answer.set_exception(TimeoutError())


async def receive(reference: ReferenceType[Any]) -> None:
    """Have every message handed over; ends with an error, of which aiokafka makes what it should be.

    Nothing here holds the connection, so that one that was forgotten can go.
    """
    connection = reference()
    if connection is None:
        return
    reader = connection._reader
    del connection
    messages = _Messages(reference, reader)
    early, reader.feed_data = bytes(reader._buffer), messages.feed
    reader._buffer.clear()
    messages.feed(early)
    await reader.read(1)  # for ever: nothing is in there any more, but an end or an error
    raise IncompleteReadError(b"", None)


class _Messages:
    """Takes the place of the buffer in a stream: a message is handed over in the turn in which its last byte comes."""

    def __init__(self, reference: ReferenceType[Any], reader: Any) -> None:
        self._reference, self._reader = reference, reader
        self._kept = bytearray()

    def feed(self, chunk: bytes) -> None:
        if self._kept:
            self._kept += chunk
        received, at = self._kept or chunk, 0
        while (end := _end(received, at)) is not None:
            connection = self._reference()
            if connection is None or connection._reader is not self._reader:
                return
            try:
                connection._handle_frame(bytes(received[at + 4 : end]))
            except Exception as error:  # noqa: BLE001 - it is the connection's, not that of the loop which calls here
                self._reader.set_exception(error)
                return
            at = end
        if received is self._kept:
            del self._kept[:at]
        else:
            self._kept += chunk[at:]


def _end(received: bytes | bytearray, at: int) -> int | None:
    """Where the message that begins here ends; None when not all of it is here."""
    if len(received) < at + 4:
        return None
    end = at + 4 + _INT32.unpack_from(received, at)[0]
    return end if end <= len(received) else None


def _handle_frame(connection: Any, frame: bytes) -> None:
    """Resolve the oldest request with its answer."""
    correlation_id, request, answer = connection._requests[0]
    if (
        correlation_id is None
        or request.FLEXIBLE_VERSION
        or _INT32.unpack_from(frame)[0] != correlation_id
        or wire_format.codec_of(request.RESPONSE_TYPE) is None
    ):
        _librarys_handle_frame(connection, frame)
        return
    if not answer.done():
        answer.set_result(wire_format.read(request.RESPONSE_TYPE, frame, _INT32.size)[0])
    connection._last_action = time.monotonic()
    connection._requests.popleft()
