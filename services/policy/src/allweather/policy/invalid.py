"""What is wrong with a request, as the caller will read it."""

from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

MAX_QUOTED: Final = 80


class Invalid(Exception):
    """The request cannot be served as it is. `reason` says what is wrong and what to do, `param` where."""

    def __init__(self, code: str, reason: str, param: str | None = None) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.param = param


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


def quoted(text: str) -> str:
    """A caller's text as it may stand in a message: short, and without control characters."""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:MAX_QUOTED])
    return f"'{shown}{'...' if len(text) > MAX_QUOTED else ''}'"
