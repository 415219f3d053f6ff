"""How many records a concurrent consumer has in hand, without those that only wait for somebody else's work on them."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar

_current: ContextVar["Window | None"] = ContextVar("window", default=None)


class Window:
    """The places of one consumer. `in_hand` counts its records; `changed` is told when there may be a place."""

    def __init__(self, size: int, in_hand: Callable[[], int], changed: Callable[[], None]) -> None:
        self._size, self._in_hand, self._changed = size, in_hand, changed
        self._aside = 0
        self._returning: list[asyncio.Future[None]] = []

    @property
    def full(self) -> bool:
        """Whether nothing new may be begun. Who stepped aside and wants to go on comes first."""
        return bool(self._returning) or not self._any_place

    def adopt(self) -> None:
        """Let `stepping_aside` of this task speak of this window."""
        _current.set(self)

    def freed(self) -> None:
        """There may be a place: somebody who stepped aside may go on."""
        while self._returning and self._any_place:
            self._aside -= 1
            self._returning.pop(0).set_result(None)
        self._changed()

    def leave(self) -> None:
        self._aside += 1
        self.freed()

    def give_up(self) -> None:
        """Who stepped aside does not go on, and is about to end."""
        self._aside -= 1

    async def come_back(self) -> None:
        """Return when there is a place again."""
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._returning.append(place)
        self.freed()
        try:
            await place
        except asyncio.CancelledError:
            if place in self._returning:
                self._returning.remove(place)
                self.give_up()
            raise

    @property
    def _any_place(self) -> bool:
        return self._in_hand() - self._aside < self._size


@asynccontextmanager
async def stepping_aside() -> AsyncGenerator[None]:
    """While the block runs, the record at hand takes no place of its consumer: another process works on it.

    The block is left when there is a place again. Does nothing outside of a concurrent consumer.
    """
    window = _current.get()
    if window is None:
        yield
        return
    window.leave()
    try:
        yield
    except BaseException:
        window.give_up()
        raise
    await window.come_back()
