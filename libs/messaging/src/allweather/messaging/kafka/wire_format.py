"""aiokafka's requests and responses, the same bytes in a third of the time.

aiokafka writes and reads each number of a message by itself, through three calls. At 50 requests a second that is a
tenth of the time of every service, since each fetch names every partition. Here a message's schema, which stays
aiokafka's, is compiled once: numbers that follow one another are packed together. A message with a type that is not
known here is left to aiokafka.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from io import BytesIO
from itertools import accumulate, groupby, pairwise, starmap
from struct import Struct as Packing
from typing import Any, Final, NamedTuple, TypeVar

from aiokafka.protocol.struct import Struct
from aiokafka.protocol.types import Array, Boolean, Bytes, Int8, Int16, Int32, Int64, Schema, String, UInt32

M = TypeVar("M", bound=Struct)
Write = Callable[[Any, list[bytes]], None]
"""Appends the bytes of a value."""
Read = Callable[[bytes, int], tuple[Any, int]]
"""The value at a place, and the place after it. Raises `ValueError` or `struct.error` when it is cut off."""

_NUMBERS: Final = {Int8: "b", Int16: "h", Int32: "i", UInt32: "I", Int64: "q", Boolean: "?"}
_INT16: Final = Packing(">h")
_INT32: Final = Packing(">i")


class Codec(NamedTuple):
    """How a value is written and read."""

    write: Write
    read: Read
    packing: Packing | None = None
    """Of fields that are all numbers."""


class _Unknown(Exception):
    """A type of which nothing is known here."""


def install() -> None:
    """Let every message of aiokafka go through here."""
    library: Any = Struct
    library.encode, library.decode = _encode, classmethod(_decode)


@cache
def codec_of(message: type[Struct]) -> Codec | None:
    """How the fields of a message are written and read; None when that is left to aiokafka."""
    try:
        return _codec(message.SCHEMA)
    except _Unknown:
        return None


_librarys_encode: Final[Callable[[Struct], bytes]] = Struct.encode
_librarys_decode: Final[Callable[..., Struct]] = Struct.decode.__func__


def _encode(message: Struct) -> bytes:
    codec = codec_of(type(message))
    if codec is None:
        return _librarys_encode(message)
    parts: list[bytes] = []
    codec.write([message.__dict__[name] for name in message.SCHEMA.names], parts)
    return b"".join(parts)


def _decode(message: type[Struct], data: BytesIO | bytes) -> Struct:
    if codec_of(message) is None:
        return _librarys_decode(message, data)
    if isinstance(data, bytes):
        return read(message, data, 0)[0]
    made, end = read(message, data.getvalue(), data.tell())
    data.seek(end)
    return made


def read(message: type[M], data: bytes, at: int) -> tuple[M, int]:
    """The message at a place, and the place after it. Only for a message whose `codec_of` is not None."""
    codec = codec_of(message)
    assert codec is not None
    values, end = codec.read(data, at)
    made = object.__new__(message)
    made.__dict__.update(zip(message.SCHEMA.names, values, strict=True))
    return made, end


def _codec(kind: Any) -> Codec:
    match kind:
        case Schema():
            return _of_fields(kind.fields)
        case Array() if type(kind) is Array:
            return _of_items(_codec(kind.array_of))
        case String() if type(kind) is String:
            return Codec(_write_string, _read_string)
        case _ if kind is Bytes:
            return Codec(_write_bytes, _read_bytes)
        case _ if kind in _NUMBERS:
            return _of_number(_packing([kind]))
        case _:
            raise _Unknown


def _of_fields(fields: Sequence[Any]) -> Codec:
    runs = [(numbers, list(run)) for numbers, run in groupby(fields, key=_is_number)]
    codecs = [_of_numbers(run) if numbers else _one_by_one(run) for numbers, run in runs]
    return codecs[0] if len(codecs) == 1 else _one_after_another(codecs, [len(run) for _, run in runs])


def _is_number(kind: Any) -> bool:
    return isinstance(kind, type) and kind in _NUMBERS


def _of_numbers(kinds: Iterable[Any]) -> Codec:
    packing = _packing(kinds)
    pack, unpack, size = packing.pack, packing.unpack_from, packing.size

    def write(values: Sequence[Any], parts: list[bytes]) -> None:
        parts.append(pack(*values))

    def read(data: bytes, at: int) -> tuple[Any, int]:
        return unpack(data, at), at + size

    return Codec(write, read, packing)


def _packing(kinds: Iterable[Any]) -> Packing:
    return Packing(">" + "".join(_NUMBERS[kind] for kind in kinds))


def _one_by_one(kinds: Iterable[Any]) -> Codec:
    codecs = [_codec(kind) for kind in kinds]

    def write(values: Sequence[Any], parts: list[bytes]) -> None:
        for codec, value in zip(codecs, values, strict=True):
            codec.write(value, parts)

    def read(data: bytes, at: int) -> tuple[Any, int]:
        values: list[Any] = []
        for codec in codecs:
            value, at = codec.read(data, at)
            values.append(value)
        return tuple(values), at

    return Codec(write, read)


def _one_after_another(codecs: Sequence[Codec], lengths: Sequence[int]) -> Codec:
    """Runs of fields, each of a length."""
    slices = [slice(*ends) for ends in pairwise(accumulate(lengths, initial=0))]
    expected = sum(lengths)

    def write(values: Sequence[Any], parts: list[bytes]) -> None:
        if len(values) != expected:
            raise ValueError(f"{len(values)} values for {expected} fields")
        for codec, of in zip(codecs, slices, strict=True):
            codec.write(values[of], parts)

    def read(data: bytes, at: int) -> tuple[Any, int]:
        values: tuple[Any, ...] = ()
        for codec in codecs:
            run, at = codec.read(data, at)
            values += run
        return values, at

    return Codec(write, read)


def _of_items(one: Codec) -> Codec:
    def write(items: Sequence[Any] | None, parts: list[bytes]) -> None:
        parts.append(_INT32.pack(-1 if items is None else len(items)))
        if one.packing is not None:
            parts += starmap(one.packing.pack, items or ())
        else:
            for item in items or ():
                one.write(item, parts)

    def read(data: bytes, at: int) -> tuple[Any, int]:
        (length,) = _INT32.unpack_from(data, at)
        at += 4
        if length == -1:
            return None, at
        items: list[Any] = []
        for _ in range(length):
            item, at = one.read(data, at)
            items.append(item)
        return items, at

    return Codec(write, read)


def _of_number(packing: Packing) -> Codec:
    def write(value: Any, parts: list[bytes]) -> None:
        parts.append(packing.pack(value))

    def read(data: bytes, at: int) -> tuple[Any, int]:
        return packing.unpack_from(data, at)[0], at + packing.size

    return Codec(write, read)


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
