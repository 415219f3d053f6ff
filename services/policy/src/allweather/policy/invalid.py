"""The faults of a request, gathered; the first one is told to the caller."""

from collections.abc import Callable
from typing import TypeVar

from allweather.dialects.invalid import Invalid

T = TypeVar("T")


class Faults(list[Invalid]):
    """The faults found in one request; the first one found is told to the caller."""

    def guard(self, read: Callable[[], T], otherwise: T) -> T:
        """What `read` returns, or `otherwise` when it finds the request invalid, which is kept."""
        try:
            return read()
        except Invalid as fault:
            self.append(fault)
            return otherwise

    @property
    def first(self) -> Invalid | None:
        return self[0] if self else None
