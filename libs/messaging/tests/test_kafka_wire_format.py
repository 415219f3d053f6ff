"""The compiled wire format writes and reads every message of aiokafka as aiokafka does."""

import inspect
import struct
from importlib import import_module
from io import BytesIO
from pkgutil import iter_modules
from typing import Any

import aiokafka.protocol
import pytest
from aiokafka.protocol.fetch import FetchRequest_v9
from aiokafka.protocol.produce import ProduceRequest_v8
from aiokafka.protocol.struct import Struct
from aiokafka.protocol.types import Array, Boolean, Bytes, Int8, Int16, Int32, Int64, Schema, String, UInt32
from hypothesis import given, settings
from hypothesis import strategies as st

from allweather.messaging.kafka import wire_format
from allweather.messaging.kafka.wire_format import Codec


def messages() -> list[type[Struct]]:
    modules = [import_module(f"aiokafka.protocol.{found.name}") for found in iter_modules(aiokafka.protocol.__path__)]
    found = {each for module in modules for _, each in inspect.getmembers(module, inspect.isclass)}
    return sorted((each for each in found if issubclass(each, Struct)), key=lambda each: each.__name__)


COMPILED = [each for each in messages() if wire_format.codec_of(each)]
INTEGERS: dict[Any, int] = {Int8: 8, Int16: 16, Int32: 32, Int64: 64}
SIMPLE: dict[Any, st.SearchStrategy[Any]] = {
    **{kind: st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for kind, bits in INTEGERS.items()},
    UInt32: st.integers(0, 2**32 - 1),
    Boolean: st.booleans(),
    Bytes: st.none() | st.binary(max_size=20),
}


def codec_of(message: type[Struct]) -> Codec:
    codec = wire_format.codec_of(message)
    assert codec is not None
    return codec


def values(kind: Any) -> st.SearchStrategy[Any]:
    match kind:
        case Schema():
            return st.tuples(*map(values, kind.fields))
        case Array():
            return st.none() | st.lists(values(kind.array_of), max_size=3)
        case String():
            return st.none() | st.text(max_size=8)
        case _:
            return SIMPLE[kind]


def test_what_is_sent_all_the_time_is_compiled():
    assert {FetchRequest_v9, FetchRequest_v9.RESPONSE_TYPE, ProduceRequest_v8} <= set(COMPILED)
    assert ProduceRequest_v8.RESPONSE_TYPE in COMPILED


@pytest.mark.parametrize("message", COMPILED, ids=lambda message: message.__name__)
@settings(max_examples=10)
@given(data=st.data())
def test_a_message_is_written_and_read_as_aiokafka_does(message: type[Struct], data: st.DataObject):
    fields = data.draw(values(message.SCHEMA))
    codec = codec_of(message)
    parts: list[bytes] = []

    codec.write(fields, parts)
    written = b"".join(parts)

    assert written == message.SCHEMA.encode(fields)
    assert codec.read(written, 0) == (message.SCHEMA.decode(BytesIO(written)), len(written))


@given(data=st.data())
def test_a_message_that_is_cut_off_is_an_error(data: st.DataObject):
    response = FetchRequest_v9.RESPONSE_TYPE
    written = response.SCHEMA.encode(data.draw(values(response.SCHEMA)))

    with pytest.raises((ValueError, struct.error)):
        codec_of(response).read(written[: data.draw(st.integers(0, len(written) - 1))], 0)


def test_reading_goes_on_after_what_was_read():
    header, body = FetchRequest_v9.RESPONSE_TYPE, ProduceRequest_v8.RESPONSE_TYPE
    first, second = header(1, 0, 7, []), body([], 5)
    stream = BytesIO(first.encode() + second.encode())

    assert header.decode(stream) == first
    assert body.decode(stream) == second


def test_too_few_values_are_refused():
    with pytest.raises(ValueError, match="3 values for 4 fields"):
        codec_of(ProduceRequest_v8).write([None, -1, 30_000], [])
