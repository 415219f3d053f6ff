"""Which offset of a partition may be committed while its records finish in any order."""

import base64
import binascii
from collections.abc import Iterable, Iterator
from enum import Enum

from allweather.messaging.ports import Committed

_PREFIX = "1:"
# Kafka keeps at most 4,096 characters beside an offset; base64 carries three bytes in four of them.
_NOTE_BYTES = (4096 - len(_PREFIX)) // 4 * 3
SPAN = _NOTE_BYTES * 8
"""How many offsets, from the committed one on, a note can speak of; no record beyond is begun."""


class Begun(Enum):
    """What is known of a record when it is delivered."""

    NEW = "new"
    RUNNING = "running"
    FINISHED = "finished"


class OffsetTracker:
    """The finished and unfinished work of one partition, over every assignment of it to this process.

    `place` never passes a record that was delivered and is not finished, and carries every finished one beyond it.
    """

    def __init__(self) -> None:
        self._running: set[int] = set()
        self._finished: set[int] = set()
        self._next: int | None = None
        self._committed: int | None = None

    def rebase(self, committed: Committed | None) -> None:
        """The partition is assigned (again) and will be delivered from `committed` on, or from its earliest record.

        Work that still runs here, or was finished here and not committed, stays known. When the group's place was
        moved back on purpose, finished work is forgotten: somebody wants it done again.
        """
        start = committed.offset if committed else None
        if self._committed is not None and (start is None or start < self._committed):
            self._finished.clear()
        self._committed = self._next = start
        if committed:
            self._finished.update(read_note(committed))
            self._forget_before(committed.offset)

    def begin(self, offset: int) -> Begun:
        """A record was delivered. Only a `NEW` one is to be worked on; it must be `finish`ed some day."""
        known = self._known(offset)
        if known is Begun.NEW:
            self._running.add(offset)
        self._next = offset + 1
        return known

    def finish(self, offset: int) -> None:
        """The work on this record is done and its outputs are acknowledged, whoever owns the partition by now."""
        self._running.discard(offset)
        if self._committed is None or offset >= self._committed:
            self._finished.add(offset)

    def admits(self, offset: int) -> bool:
        """Whether a note could still speak of this offset; otherwise it must wait for earlier work to finish."""
        base = self._base()
        return base is None or offset < base + SPAN

    def place(self) -> Committed | None:
        """What may be committed now; None while nothing is known of the partition."""
        base = self._base()
        return None if base is None else Committed(base, write_note(base, self._finished))

    def committed(self, place: Committed) -> None:
        """The group's place is stored: what lies before it need not be remembered."""
        self._committed = place.offset
        self._forget_before(place.offset)

    @property
    def running(self) -> int:
        return len(self._running)

    def _known(self, offset: int) -> Begun:
        if offset in self._running:
            return Begun.RUNNING
        return Begun.FINISHED if offset in self._finished else Begun.NEW

    def _base(self) -> int | None:
        if self._next is None or not self._running:
            return self._next
        return min(self._next, min(self._running))

    def _forget_before(self, offset: int) -> None:
        self._finished = {finished for finished in self._finished if finished >= offset}
        # Work of an earlier assignment that another member has finished meanwhile holds nothing back.
        self._running = {running for running in self._running if running >= offset}


def write_note(base: int, finished: Iterable[int]) -> str:
    """The finished offsets from `base` on as a bitmap; empty when there are none."""
    distances = [offset - base for offset in finished if base <= offset < base + SPAN]
    if not distances:
        return ""
    bits = bytearray(max(distances) // 8 + 1)
    for distance in distances:
        bits[distance >> 3] |= 1 << (distance & 7)
    return _PREFIX + base64.b64encode(bits).decode()


def read_note(committed: Committed) -> Iterator[int]:
    """The finished offsets that a note speaks of; none when it is not ours or is damaged: work is done again then."""
    if not committed.metadata.startswith(_PREFIX):
        return
    try:
        bits = base64.b64decode(committed.metadata[len(_PREFIX) :], validate=True)
    except (binascii.Error, ValueError):
        return
    for index, byte in enumerate(bits):
        for bit in range(8):
            if byte >> bit & 1:
                yield committed.offset + index * 8 + bit
