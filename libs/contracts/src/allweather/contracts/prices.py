"""What a call costs, and by which price: told in full, so that the records alone say it years later. Pure."""

from functools import cached_property
from typing import Final, Self

from pydantic import Field, model_validator

from allweather.contracts.model import Model
from allweather.contracts.slip import Usage

CATALOGUE: Final = "catalogue"
"""The source of a price that an operator wrote into the catalogue."""


class Rates(Model, extra="forbid"):
    """USD per million tokens."""

    input: float = Field(ge=0)
    output: float = Field(default=0, ge=0)
    cached_input: float | None = None
    """As `input`, when there is none."""
    cache_write: float | None = None
    """As `input`, when there is none."""

    def cost(self, usage: Usage) -> float:
        """USD for one call."""
        cached = self.cached_input if self.cached_input is not None else self.input
        written = self.cache_write if self.cache_write is not None else self.input
        fresh = max(0, usage.input_tokens - usage.cached_input_tokens - usage.cache_write_tokens)
        total = (
            fresh * self.input
            + usage.cached_input_tokens * cached
            + usage.cache_write_tokens * written
            + usage.output_tokens * self.output
        )
        return round(total / 1_000_000, 9)

    @cached_property
    def told(self) -> str:
        """The rates in words."""
        optional = {"cached": self.cached_input, "cache write": self.cache_write}
        given = [f"{name} {rate:g}" for name, rate in optional.items() if rate is not None]
        return ", ".join([f"in {self.input:g}", f"out {self.output:g}", *given])


class Tier(Rates):
    """The rates for all tokens of a call that has many."""

    above: int = Field(ge=0)
    """It has more input tokens than this."""


class Price(Rates):
    """The rates of one model, and where they come from."""

    tiers: tuple[Tier, ...] = ()
    source: str = CATALOGUE

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        bounds = [tier.above for tier in self.tiers]
        if bounds != sorted(set(bounds)):
            raise ValueError("tiers are in ascending order, each above its own number of input tokens")
        return self

    def rates(self, usage: Usage) -> Rates:
        """Those that hold for a call."""
        if not self.tiers:
            return self
        return next((tier for tier in reversed(self.tiers) if usage.input_tokens > tier.above), self)
