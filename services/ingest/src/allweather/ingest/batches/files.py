"""Files as they come in and go out: parts of whole lines, each in the payload store under its digest."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from allweather.ingest.batches.lines import split
from allweather.runtime.payloads import Payloads

PART: Final = 1 << 20
"""Bytes after which a part ends with its line."""
MOST: Final = 200 << 20
LONGEST_LINE: Final = 32 << 20


class TooLong(Exception):
    """A line, or the whole file, is longer than it may be."""


@dataclass(frozen=True, slots=True)
class Part:
    digest: str
    lines: int


@dataclass(frozen=True, slots=True)
class File:
    """A file by name; its content is in its parts."""

    id: UUID
    tenant: str
    purpose: str
    name: str
    bytes: int
    lines: int
    created_at_ms: int


@dataclass(slots=True)
class Writing:
    """Takes in a file piece by piece."""

    payloads: Payloads
    most: int | None = None
    """Bytes that it may have."""
    parts: list[Part] = field(default_factory=list[Part])
    size: int = 0
    _rest: bytearray = field(default_factory=bytearray)

    async def add(self, piece: bytes) -> None:
        """Take in the next piece. Raises `TooLong`."""
        self._rest += piece
        self.size += len(piece)
        if (self.most is not None and self.size > self.most) or len(self._rest) > LONGEST_LINE + PART:
            raise TooLong
        if len(self._rest) >= PART and (end := self._rest.rfind(b"\n") + 1):
            await self._keep(bytes(self._rest[:end]))
            del self._rest[:end]

    async def end(self) -> int:
        """Take in what is left; returns how many lines the file has."""
        if self._rest:
            await self._keep(bytes(self._rest))
            self._rest.clear()
        return sum(part.lines for part in self.parts)

    async def _keep(self, content: bytes) -> None:
        lines = sum(1 for _ in split(content))
        self.parts.append(Part(await self.payloads.put(content), lines))


async def numbered(payloads: Payloads, parts: list[Part], first: int = 0) -> AsyncGenerator[tuple[int, bytes]]:
    """The lines of a file with their numbers, from one on; parts before it are not read."""
    number = 0
    for part in parts:
        if number + part.lines > first:
            for place, line in enumerate(split(await payloads.get(part.digest)), number):
                if place >= first:
                    yield place, line
        number += part.lines
