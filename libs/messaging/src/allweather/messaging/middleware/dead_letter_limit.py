"""A bad deployment must stop a consumer, not drain its topic into the dead letters."""

from collections import deque


class RecentDeadLetters:
    """How many of the last records became dead letters, and whether that is more than bad luck."""

    def __init__(self, *, records: int = 1000, ratio: float = 0.01, at_least: int = 20) -> None:
        self._recent: deque[bool] = deque(maxlen=records)
        self._ratio, self._at_least = ratio, at_least
        self._dead = 0

    def passed(self, records: int) -> None:
        """So many records were handled."""
        for _ in range(records):
            self._add(dead=False)

    def failed(self) -> bool:
        """A record is to be dead-lettered. Says whether that is one too many."""
        self._add(dead=True)
        return self._dead >= self._at_least and self._dead > self._ratio * len(self._recent)

    def __str__(self) -> str:
        return f"{self._dead} of the last {len(self._recent)} records failed"

    def _add(self, *, dead: bool) -> None:
        if len(self._recent) == self._recent.maxlen:
            self._dead -= self._recent[0]
        self._recent.append(dead)
        self._dead += dead
