"""Proof of life of a loop that must keep turning."""

from allweather.runtime.clock import Clock, SystemClock


class Heartbeat:
    """Beaten by a loop at each turn; stale when it has not been for `limit_s` seconds."""

    __slots__ = ("_clock", "_last", "limit_s")

    def __init__(self, limit_s: float, clock: Clock | None = None) -> None:
        self.limit_s = limit_s
        self._clock = clock or SystemClock()
        self._last = self._clock.monotonic()

    def beat(self) -> None:
        """Say that the loop has turned."""
        self._last = self._clock.monotonic()

    @property
    def age_s(self) -> float:
        """Seconds since the last beat."""
        return self._clock.monotonic() - self._last

    @property
    def stale(self) -> bool:
        """Whether the loop hangs."""
        return self.age_s > self.limit_s
