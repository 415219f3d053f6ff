"""Reading record batches (format v2) whose header names are not UTF-8.

Brokers take such records, Kafka's Java client shows them with replacement characters, and aiokafka stops for ever at
the first one. Whoever may write to a topic could so stop its consumers; this slow reader gets past them.
"""

import struct
from collections.abc import Callable, Iterator

from allweather.messaging.types import Headers, Record, TopicPartition

_BATCH = struct.Struct(">qiibIhiqqqhii")
_LOG_OVERHEAD = 12  # base offset and length, which the length does not count
_CODEC, _APPEND_TIME, _CONTROL = 0x07, 0x08, 0x20

Decompress = Callable[[int, bytes], bytes]


def records(at: TopicPartition, data: bytes, start: int, decompress: Decompress) -> Iterator[Record]:
    """The records of whole batches in `data` from `start` on; a batch cut off at the end is left out."""
    position = 0
    while position + _BATCH.size <= len(data):
        fields = _BATCH.unpack_from(data, position)
        end = position + _LOG_OVERHEAD + fields[1]
        if end > len(data):
            return
        attributes = fields[5]
        if not attributes & _CONTROL:
            body = decompress(attributes & _CODEC, data[position + _BATCH.size : end])
            yield from _batch(at, fields, body, start)
        position = end


def _batch(at: TopicPartition, fields: tuple[int, ...], body: bytes, start: int) -> Iterator[Record]:
    base_offset, attributes, first_ms, latest_ms, count = fields[0], fields[5], fields[7], fields[8], fields[12]
    reader = _Reader(body)
    for _ in range(count):
        reader.varint()  # the record's length, which its fields add up to
        reader.skip(1)
        timestamp = first_ms + reader.varint()
        offset = base_offset + reader.varint()
        key, value = reader.nullable(), reader.nullable()
        headers = reader.headers()
        if offset >= start:
            at_ms = latest_ms if attributes & _APPEND_TIME else timestamp
            yield Record(at.topic, at.partition, offset, at_ms, key, value, headers)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def skip(self, count: int) -> None:
        self._at += count

    def take(self, count: int) -> bytes:
        self._at += count
        return self._data[self._at - count : self._at]

    def varint(self) -> int:
        """A zigzag-encoded integer."""
        value = shift = 0
        while True:
            byte = self._data[self._at]
            self._at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value >> 1 ^ -(value & 1)
            shift += 7

    def nullable(self) -> bytes | None:
        length = self.varint()
        return None if length < 0 else self.take(length)

    def headers(self) -> Headers:
        return tuple((self._name(), self.nullable()) for _ in range(self.varint()))

    def _name(self) -> str:
        # Escaped, not replaced: the name stays readable, and can be written again into a dead letter.
        return self.take(self.varint()).decode("utf-8", "backslashreplace")
