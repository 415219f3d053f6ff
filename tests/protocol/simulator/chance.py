"""All chance of a schedule: one stream of numbers, drawn in the order of the turns, so that a seed is a schedule."""

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Chance:
    """The dice of one schedule."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.fraction = self._random.random
        self.slow_share = 0.0
        """How often a server takes its time."""

    def happens(self, probability: float) -> bool:
        return self.fraction() < probability

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.fraction()

    def number(self, below: int) -> int:
        return int(self.fraction() * below)

    def one_of(self, choices: Sequence[T]) -> T:
        return choices[int(self.fraction() * len(choices))]

    def weighted(self, choices: Sequence[tuple[T, float]]) -> T:
        """One of the choices, each as likely as its weight says."""
        point = self.fraction() * sum(weight for _, weight in choices)
        for choice, weight in choices:
            point -= weight
            if point < 0:
                return choice
        return choices[-1][0]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        return sorted(items, key=lambda _: self.fraction())

    def latency(self) -> float:
        """How long a server takes, in seconds: mostly a millisecond, sometimes long enough for anything to overtake."""
        point = self.fraction()
        if point < self.slow_share:
            return self.between(0.05, 4.0)
        return 0.0002 + 0.003 * point
