"""What connects the sink, which enters records, with the publisher, which shows what was entered."""

import asyncio
from typing import Final

MUCH: Final = 1_000


class Backlog:
    """Entries that are in the log and that nobody has published since."""

    def __init__(self) -> None:
        self.some = asyncio.Event()
        """There is something to publish."""
        self.much = asyncio.Event()
        """There is so much that it should not wait."""
        self._entries = 0

    def add(self, entries: int) -> None:
        self._entries += entries
        if self._entries:
            self.some.set()
        if self._entries >= MUCH:
            self.much.set()

    def clear(self) -> None:
        """What was added so far is about to be published."""
        self._entries = 0
        self.some.clear()
        self.much.clear()
