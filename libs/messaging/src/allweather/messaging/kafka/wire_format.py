"""aiokafka's requests and responses, the same bytes in a third of the time.

aiokafka writes and reads each number of a message by itself, through three calls. At 50 requests a second that is a
tenth of the time of every service, since each fetch names every partition. Here a message's schema, which stays
aiokafka's, is compiled once: numbers that follow one another are packed together. A message with a type that is not
known here is left to aiokafka.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from io import BytesIO
from itertools import groupby
from struct import Struct as Packing
from typing import Any, Final

from aiokafka.protocol.struct import Struct
from aiokafka.protocol.types import Array, Boolean, Bytes, Int8, Int16, Int32, Int64, Schema, String, UInt32

Write = Callable[[Any, list[bytes]], None]
"""Appends the bytes of a value."""
Read = Callable[[bytes, int], tuple[Any, int]]
"""The value at a place, and the place after it. Raises `ValueError` or `struct.error` when it is cut off."""

_NUMBERS: Final = {Int8: "b", Int16: "h", Int32: "i", UInt32: "I", Int64: "q", Boolean: "?"}
_INT16: Final = Packing(">h")
_INT32: Final = Packing(">i")


class _Unknown(Exception):
    """A type of which nothing is known here."""


def install() -> None:
    """Let every message of aiokafka go through here."""
    library: Any = Struct
    library.encode, library.decode = _encode, classmethod(_decode)


@cache
def writer_of(message: type[Struct]) -> Write | None:
    """How the fields of a message are written, None when that is left to aiokafka."""
    try:
        return _writer(message.SCHEMA)
    except _Unknown:
        return None


@cache
def reader_of(message: type[Struct]) -> Read | None:
    """How the fields of a message are read, None when that is left to aiokafka."""
    try:
        return _reader(message.SCHEMA)
    except _Unknown:
        return None


_librarys_encode: Final[Callable[[Struct], bytes]] = Struct.encode
_librarys_decode: Final[Callable[..., Struct]] = Struct.decode.__func__


def _encode(message: Struct) -> bytes:
    write = writer_of(type(message))
    if write is None:
        return _librarys_encode(message)
    parts: list[bytes] = []
    write([message.__dict__[name] for name in message.SCHEMA.names], parts)
    return b"".join(parts)


def _decode(message: type[Struct], data: BytesIO | bytes) -> Struct:
    read = reader_of(message)
    if read is None:
        return _librarys_decode(message, data)
    if isinstance(data, bytes):
        return message(*read(data, 0)[0])
    values, end = read(data.getvalue(), data.tell())
    data.seek(end)
    return message(*values)


def _writer(kind: Any) -> Write:
    match kind:
        case Schema():
            return _schema_writer(kind)
        case Array() if type(kind) is Array:
            return _array_writer(_writer(kind.array_of))
        case String() if type(kind) is String:
            return _write_string
        case _ if kind is Bytes:
            return _write_bytes
        case _ if kind in _NUMBERS:
            return _number_writer(Packing(">" + _NUMBERS[kind]))
        case _:
            raise _Unknown


def _reader(kind: Any) -> Read:
    match kind:
        case Schema():
            return _schema_reader(kind)
        case Array() if type(kind) is Array:
            return _array_reader(_reader(kind.array_of))
        case String() if type(kind) is String:
            return _read_string
        case _ if kind is Bytes:
            return _read_bytes
        case _ if kind in _NUMBERS:
            return _number_reader(Packing(">" + _NUMBERS[kind]))
        case _:
            raise _Unknown


def _runs(fields: Sequence[Any]) -> Iterable[tuple[bool, list[Any]]]:
    """The fields, those together that are numbers in a row."""
    return ((numbers, list(run)) for numbers, run in groupby(fields, key=_is_number))


def _is_number(kind: Any) -> bool:
    return isinstance(kind, type) and kind in _NUMBERS


def _packing(run: Iterable[Any]) -> Packing:
    return Packing(">" + "".join(_NUMBERS[kind] for kind in run))


def _schema_writer(schema: Schema) -> Write:
    steps: list[tuple[int, Packing | None, Write | None]] = []
    for numbers, run in _runs(schema.fields):
        steps += [(len(run), _packing(run), None)] if numbers else [(1, None, _writer(kind)) for kind in run]
    expected = len(schema.fields)

    def write(values: Sequence[Any], parts: list[bytes]) -> None:
        if len(values) != expected:
            raise ValueError(f"{len(values)} values for {expected} fields")
        at = 0
        for count, packing, other in steps:
            if packing is not None:
                parts.append(packing.pack(*values[at : at + count]))
            elif other is not None:
                other(values[at], parts)
            at += count

    return write


def _schema_reader(schema: Schema) -> Read:
    steps: list[tuple[Packing | None, Read | None]] = []
    for numbers, run in _runs(schema.fields):
        steps += [(_packing(run), None)] if numbers else [(None, _reader(kind)) for kind in run]

    def read(data: bytes, at: int) -> tuple[Any, int]:
        values: list[Any] = []
        for packing, other in steps:
            if packing is not None:
                values += packing.unpack_from(data, at)
                at += packing.size
            elif other is not None:
                value, at = other(data, at)
                values.append(value)
        return tuple(values), at

    return read


def _array_writer(write_one: Write) -> Write:
    def write(items: Sequence[Any] | None, parts: list[bytes]) -> None:
        parts.append(_INT32.pack(-1 if items is None else len(items)))
        for item in items or ():
            write_one(item, parts)

    return write


def _array_reader(read_one: Read) -> Read:
    def read(data: bytes, at: int) -> tuple[Any, int]:
        (length,) = _INT32.unpack_from(data, at)
        at += 4
        if length == -1:
            return None, at
        items: list[Any] = []
        for _ in range(length):
            item, at = read_one(data, at)
            items.append(item)
        return items, at

    return read


def _number_writer(packing: Packing) -> Write:
    def write(value: Any, parts: list[bytes]) -> None:
        parts.append(packing.pack(value))

    return write


def _number_reader(packing: Packing) -> Read:
    def read(data: bytes, at: int) -> tuple[Any, int]:
        return packing.unpack_from(data, at)[0], at + packing.size

    return read


def _write_string(text: str | None, parts: list[bytes]) -> None:
    written = None if text is None else str(text).encode()
    parts += (_INT16.pack(-1),) if written is None else (_INT16.pack(len(written)), written)


def _read_string(data: bytes, at: int) -> tuple[str | None, int]:
    (length,) = _INT16.unpack_from(data, at)
    written, end = _slice(data, at + 2, length)
    return None if written is None else written.decode(), end


def _write_bytes(value: bytes | None, parts: list[bytes]) -> None:
    parts += (_INT32.pack(-1),) if value is None else (_INT32.pack(len(value)), value)


def _read_bytes(data: bytes, at: int) -> tuple[bytes | None, int]:
    (length,) = _INT32.unpack_from(data, at)
    return _slice(data, at + 4, length)


def _slice(data: bytes, at: int, length: int) -> tuple[bytes | None, int]:
    if length < 0:
        return None, at
    end = at + length
    if end > len(data):
        raise ValueError(f"a value of {length} bytes is cut off")
    return data[at:end], end
