"""The bases of every value that crosses a service boundary: what people write, and what services write."""

import datetime
import hashlib
from functools import cache, lru_cache
from typing import Any, Self

import msgspec
import rfc8785
from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """A frozen value out of a file that people write: whatever is wrong with it is said at once, and where."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Value(msgspec.Struct, frozen=True, omit_defaults=True):
    """A frozen value out of a record: made, written and read several times for every request.

    Readers ignore fields they do not know, and know the defaults of those that are not there, so that an older service
    reads a newer record and the other way round. A default, once released, stays. Only reading checks the types.
    """

    def to_json(self) -> bytes:
        """This value as compact JSON, without fields that have their default."""
        return _encoder.encode(self)

    @classmethod
    def from_json(cls, data: bytes | str | msgspec.Raw) -> Self:
        """The value in `data`. Raises ValueError, which names the field that is wrong."""
        try:
            return _decoder(cls).decode(data)
        except RecursionError as error:
            raise ValueError(str(error)) from error


_encoder = msgspec.json.Encoder()


@cache
def _decoder(cls: type[Any]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(cls)


def canonical_json(value: Any) -> bytes:
    """`value` (plain JSON types) in the canonical form of RFC 8785: equal values give equal bytes."""
    return rfc8785.dumps(value)


def digest(data: bytes) -> str:
    """SHA-256 of `data`, as 64 lower-case hexadecimal characters."""
    return hashlib.sha256(data).hexdigest()


def iso_time(at_ms: int) -> str:
    """RFC 3339 text, in UTC with milliseconds, of a time in milliseconds since the epoch."""
    return f"{_iso_second(at_ms // 1000)}.{at_ms % 1000:03}Z"


@lru_cache(maxsize=64)
def _iso_second(at_s: int) -> str:
    """Records of one second follow one another."""
    return datetime.datetime.fromtimestamp(at_s, datetime.UTC).isoformat()[:19]
