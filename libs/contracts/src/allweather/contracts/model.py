"""The base of every value that crosses a service boundary."""

import datetime
import hashlib
from functools import lru_cache
from typing import Any

import rfc8785
from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """A frozen value. Readers ignore fields they do not know, so that an older service reads a newer record."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def to_json(self) -> bytes:
        """This value as compact JSON, without fields that are None."""
        return self.__pydantic_serializer__.to_json(self, exclude_none=True)


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
