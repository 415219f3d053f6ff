"""Time as something that is passed in, so that a decision or a test can hold it still."""

import time
from typing import Protocol


class Clock(Protocol):
    """The time of day for records, and a steady time for durations."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch; may jump when the host's clock is set."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go backwards; only differences mean something."""
        ...


class SystemClock:
    """The host's clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()


class FixedClock:
    """A clock that stands still until told to advance."""

    def __init__(self, now_ms: int = 1_767_225_600_000) -> None:
        self._now_ms = now_ms
        self._elapsed_ms = 0

    def now_ms(self) -> int:
        return self._now_ms + self._elapsed_ms

    def monotonic(self) -> float:
        return self._elapsed_ms / 1000

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass at once."""
        self._elapsed_ms += round(seconds * 1000)

    def set_back(self, seconds: float) -> None:
        """Set the time of day back, as an operator or NTP may; `monotonic` does not notice."""
        self._now_ms -= round(seconds * 1000)
