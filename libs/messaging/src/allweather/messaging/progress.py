"""When work last got on: what a watchdog needs to tell a quiet consumer from a stuck one."""

import time
from collections.abc import Callable
from contextvars import ContextVar

_current: ContextVar["Progress | None"] = ContextVar("progress", default=None)


class Progress:
    """The time since the last sign of life of one consumer."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = clock()

    def note(self) -> None:
        self._last = self._clock()

    @property
    def idle(self) -> float:
        """Seconds since the last sign of life."""
        return self._clock() - self._last

    def adopt(self) -> None:
        """Let `note_progress` of this task, and of the tasks it starts, speak of this consumer."""
        _current.set(self)


def note_progress() -> None:
    """Tell the consumer that runs this handler that waiting is right: a slow step inside its own time limit, or a
    dependency that is known to be away. Does nothing outside of a consumer.
    """
    progress = _current.get()
    if progress is not None:
        progress.note()
