"""aiokafka's connections, with fewer steps for a message, and under uvloop.

aiokafka makes a context with a timer of its own for each answer, an object and a stream for each header, and two reads
for each message; a record that comes by itself is on its way through four connections in every service.

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
_CHUNK: Final = 1 << 18


def install() -> None:
    """Let everything that aiokafka sends and receives go through here."""
    _library.send, _library._handle_frame, _library._read = _send, _handle_frame, staticmethod(read_frames)


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


async def read_frames(reference: ReferenceType[Any]) -> None:
    """Hand over every message; ends with an error, which aiokafka makes of it what it should be.

    Nothing here holds the connection while it waits, so that one that was forgotten can go.
    """
    connection = reference()
    if connection is None:
        return
    reader, connection = connection._reader, None
    kept = bytearray()
    while True:
        chunk: bytes = await reader.read(_CHUNK)
        if not chunk:
            raise IncompleteReadError(bytes(kept), None)
        if kept:
            kept += chunk
        received, at = kept or chunk, 0
        while (end := _end(received, at)) is not None:
            connection = reference()
            if connection is None:
                return
            connection._handle_frame(bytes(received[at + 4 : end]))
            connection, at = None, end
        if received is kept:
            del kept[:at]
        else:
            kept += chunk[at:]


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
