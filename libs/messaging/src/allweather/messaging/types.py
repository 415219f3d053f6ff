"""The nouns of messaging: what is consumed, what is published, and the shape of a handler.

Records and messages are structs: thousands are made each second, and one costs a tenth of a frozen dataclass.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import msgspec

Headers: TypeAlias = tuple[tuple[str, bytes | None], ...]


class TopicPartition(NamedTuple):
    topic: str
    partition: int


class Message(msgspec.Struct, frozen=True, gc=False):
    """What a handler wants published. Without a partition, the key chooses it as every Kafka client would."""

    topic: str
    value: bytes | None
    key: bytes | None = None
    headers: Headers = ()
    partition: int | None = None


class Record(msgspec.Struct, frozen=True, gc=False):
    """What was read from a partition: key, value and headers are exactly the bytes its producer wrote."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    @property
    def position(self) -> TopicPartition:
        return TopicPartition(self.topic, self.partition)

    def header(self, name: str) -> bytes | None:
        """The value of a header; of several with the same name the last one, as Kafka's own clients do."""
        for key, value in reversed(self.headers):
            if key == name:
                return value
        return None

    def text(self, name: str) -> str | None:
        """The header as text; None when it is absent, null, or not UTF-8: opaque bytes are not an error."""
        value = self.header(name)
        if value is None:
            return None
        try:
            return value.decode()
        except UnicodeDecodeError:
            return None


AfterAck: TypeAlias = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a handler decided: messages to publish, and what to do once every one of them is acknowledged.

    `after_ack` may never run (the process can die before it), so it must be harmless to miss.
    """

    messages: Sequence[Message] = ()
    after_ack: AfterAck | None = None


BatchHandler: TypeAlias = Callable[[Sequence[Record]], Awaitable[Outputs]]
RecordHandler: TypeAlias = Callable[[Record], Awaitable[Outputs]]
Middleware: TypeAlias = Callable[[BatchHandler], BatchHandler]
