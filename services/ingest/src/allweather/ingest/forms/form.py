"""What every dialect's stream has in common, whatever its events are called."""

from collections.abc import Sequence
from typing import Protocol

from allweather.contracts.errors import ApiError


class Form(Protocol):
    """Writes one caller's stream. What says that an answer is complete is held back until `end` is asked for."""

    keep_alive: bytes
    """Shows that the connection lives, and nothing else."""

    @property
    def finished(self) -> bool:
        """Whether the answer has its reason to end: only counts and a terminator can be missing."""
        ...

    @property
    def whole(self) -> bool:
        """Whether everything of the answer has been seen."""
        ...

    def show(self, payloads: Sequence[str]) -> bytes:
        """The payloads as events, as far as they may be shown already."""
        ...

    def end(self) -> bytes:
        """What tells the caller that the answer is complete."""
        ...

    def entire(self, body: bytes) -> bytes:
        """A whole answer as a stream, its end included."""
        ...

    def error(self, error: ApiError, request_id: str) -> bytes:
        """The end of a stream that has failed: an error that the official SDKs raise."""
        ...
