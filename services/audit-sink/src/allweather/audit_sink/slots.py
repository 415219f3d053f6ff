"""Many small values in little memory."""

from collections.abc import Iterable


class Slots:
    """Values of one width by a number that mostly counts up, in no more bytes than they have; some may be missing."""

    def __init__(self, width: int) -> None:
        self._width, self._empty = width, bytes(width)
        self._base = 0
        self._content = bytearray()

    @property
    def low(self) -> int:
        """The lowest number that was put."""
        return self._base

    @property
    def high(self) -> int:
        """The number after the highest that was put; 0 when nothing was."""
        return self._base + len(self._content) // self._width

    def get(self, number: int) -> bytes | None:
        """The value, or None when the number is missing."""
        if not self.low <= number < self.high:
            return None
        at = (number - self._base) * self._width
        value = bytes(self._content[at : at + self._width])
        return None if value == self._empty else value

    def put(self, number: int, value: bytes) -> None:
        """Keep `value`, which is not all zeros, under `number`."""
        if not self._content:
            self._base = number
        if number < self._base:
            self._content[:0] = self._empty * (self._base - number)
            self._base = number
        if number >= self.high:
            self._content.extend(self._empty * (number + 1 - self.high))
        at = (number - self._base) * self._width
        self._content[at : at + self._width] = value

    def missing(self) -> Iterable[int]:
        """The numbers between the lowest and the highest that were never put."""
        return (number for number in range(self.low, self.high) if self.get(number) is None)
