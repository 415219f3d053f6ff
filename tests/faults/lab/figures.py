"""What a scenario measured, each figure beside its bar."""

from dataclasses import dataclass, field
from typing import Any

Number = int | float


@dataclass(slots=True)
class Figures:
    """Figures by name, and the sentences that say which of them missed their bar.

    Times are held against their bars when they are `timed`: on a machine that has something else to do they say nothing
    of the system.
    """

    timed: bool = True

    values: dict[str, Any] = field(default_factory=dict[str, Any])
    bars: dict[str, str] = field(default_factory=dict[str, str])
    missed: list[str] = field(default_factory=list[str])

    def note(self, name: str, value: Any) -> None:
        """A figure without a bar."""
        self.values[name] = _short(value)

    def at_most(self, name: str, value: Number, bar: Number) -> None:
        """A figure that must not exceed `bar`."""
        self._against(name, value, f"<= {bar:g}", kept=value <= bar)

    def at_least(self, name: str, value: Number, bar: Number) -> None:
        """A figure that must not fall below `bar`."""
        self._against(name, value, f">= {bar:g}", kept=value >= bar)

    def within(self, name: str, seconds: float, bar: float) -> None:
        """A time that must not exceed `bar` seconds."""
        self._against(name, seconds, f"<= {bar:g}", kept=seconds <= bar or not self.timed)

    def require(self, what: str, *, kept: bool) -> None:
        """Something that must be so."""
        if not kept:
            self.missed.append(f"not so: {what}")

    def _against(self, name: str, value: Number, bar: str, *, kept: bool) -> None:
        self.values[name], self.bars[name] = _short(value), bar
        if not kept:
            self.missed.append(f"{name} is {_short(value)}, must be {bar}")


def _short(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float) else value
