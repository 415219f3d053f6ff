"""aiokafka's connections under uvloop: a socket that is closed is an error of the connection, not of the program.

Between the reset of a connection and the turn of the task that reads it, uvloop refuses to write with a RuntimeError.
aiokafka expects an OSError there, so the former would end whatever was sending: a commit, or for good the task that
keeps its picture of the cluster.
"""

from typing import Any, Final

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError

_library: Final[Any] = AIOKafkaConnection
_librarys_send: Final[Any] = _library.send


def install() -> None:
    """Let everything that aiokafka sends go through here."""
    _library.send = _send


def _send(connection: Any, request: Any, expect_response: bool = True) -> Any:
    try:
        return _librarys_send(connection, request, expect_response)
    except RuntimeError as error:
        if not connection._writer.transport.is_closing():
            raise
        connection.close(reason=CloseReason.CONNECTION_BROKEN)
        raise KafkaConnectionError(f"Connection at {connection.host}:{connection.port} broken: {error}") from error
