"""Work that a vendor takes in at once and does little by little: batches."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Line = TypeVar("Line")
Done = TypeVar("Done")
LINES_A_SECOND = 5000
_DELAY = 0.05
"""Seconds until the first line is done."""


class Work(Generic[Line, Done]):
    """Lines, done in order as time passes: when somebody looks, all is done that would have been done by then."""

    def __init__(self, lines: Sequence[Line], run: Callable[[Line], Done], started: float) -> None:
        self.lines = lines
        self.done: list[Done] = []
        self.stopped = False
        self.ended: float | None = None
        """When nothing was left to do."""
        self._run = run
        self._started = started

    def advance(self, now: float) -> None:
        """Do what is due."""
        if self.ended is not None:
            return
        due = len(self.lines) if not self.stopped else len(self.done)
        due = max(0, min(due, int((now - self._started - _DELAY) * LINES_A_SECOND)))
        for line in self.lines[len(self.done) : due]:
            self.done.append(self._run(line))
        if now - self._started >= _DELAY and (self.stopped or len(self.done) == len(self.lines)):
            self.ended = now

    def stop(self) -> None:
        """Do nothing more."""
        self.stopped = True

    @property
    def left(self) -> Sequence[Line]:
        return self.lines[len(self.done) :]
