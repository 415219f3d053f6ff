"""What a vendor remembers between calls. It is told the time; what is old or too much is forgotten."""

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

Kept = TypeVar("Kept")
_PREFIXES = 50_000


class Shelf(Generic[Kept]):
    """Things by their ids, the latest `capacity` of them."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    def put(self, key: str, thing: Kept) -> None:
        self._kept[key] = thing
        self._kept.move_to_end(key)
        while len(self._kept) > self._capacity:
            self._kept.popitem(last=False)

    def get(self, key: str) -> Kept | None:
        return self._kept.get(key)

    def drop(self, key: str) -> bool:
        """Forget a thing; tell whether it was there."""
        return self._kept.pop(key, None) is not None

    def latest(self) -> list[Kept]:
        """Return everything, the latest first."""
        return list(reversed(self._kept.values()))


class PromptCache:
    """Prefixes of prompts that were seen, each until it expires."""

    def __init__(self) -> None:
        self._until: OrderedDict[Hashable, float] = OrderedDict()

    def longest(self, prefixes: Sequence[Hashable], now: float) -> int:
        """Return how many of `prefixes` (growing) the cache holds: up to and with the longest one it knows."""
        for count in range(len(prefixes), 0, -1):
            if self._until.get(prefixes[count - 1], 0.0) > now:
                return count
        return 0

    def keep(self, prefix: Hashable, now: float, seconds: float) -> None:
        """Hold `prefix` from now on; a use renews it."""
        self._until[prefix] = now + seconds
        self._until.move_to_end(prefix)
        while len(self._until) > _PREFIXES:
            self._until.popitem(last=False)
