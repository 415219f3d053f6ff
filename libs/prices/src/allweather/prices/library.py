"""What the genai-prices library says that a model costs. It is asked nothing over the network."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Final

import genai_prices
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, ModelPrice, TieredPrices, TimeOfDateConstraint

from allweather.contracts.prices import Price, Rates, Tier

NAME: Final = f"genai-prices {genai_prices.__version__}"

RATES: Final = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cached_input": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
}
"""Our name of a rate -> the library's."""

PROVIDERS: Final = {"azure.ai.openai": "azure"}
"""Names of OpenTelemetry that the library takes for another provider; it knows all others."""


class Unpriced(LookupError):
    """The library has no price that can be locked; the message says why."""


def price(provider: str, model: str, day: date) -> Price:
    """The price on that day. Raises `Unpriced`."""
    try:
        found, info = get_snapshot().find_provider_model(model, None, PROVIDERS.get(provider, provider), None)
    except LookupError:
        raise Unpriced(f"{NAME} does not know {model!r} of {provider!r}") from None
    if _changes_within_a_day(info):
        raise Unpriced(f"the price of {model!r} changes with the time of day")
    priced = info.get_prices(datetime.combine(day, time(), UTC))
    tiers = [Tier(above=bound, **_rates(priced, bound)) for bound in sorted(set(_bounds(priced)))]
    return Price(tiers=tuple(tiers), source=f"{NAME}, {found.id}/{info.id}", **_rates(priced, None))


def _changes_within_a_day(info: ModelInfo) -> bool:
    conditional = [] if isinstance(info.prices, ModelPrice) else info.prices
    return any(isinstance(each.constraint, TimeOfDateConstraint) for each in conditional)


def _bounds(priced: ModelPrice) -> Iterator[int]:
    """Numbers of input tokens above which something costs another price."""
    for name in RATES.values():
        value = getattr(priced, name)
        if isinstance(value, TieredPrices):
            yield from (tier.start for tier in value.tiers)


def _rates(priced: ModelPrice, above: int | None) -> dict[str, float]:
    """The rates of a call with more input tokens than `above`."""
    found = {name: _rate(getattr(priced, theirs), above) for name, theirs in RATES.items()}
    return Rates.model_validate({name: rate for name, rate in found.items() if rate is not None}).model_dump(
        exclude_none=True
    )


def _rate(value: Decimal | TieredPrices | None, above: int | None) -> float | None:
    if not isinstance(value, TieredPrices):
        return None if value is None else float(value)
    passed = [tier.price for tier in value.tiers if above is not None and above >= tier.start]
    return float(passed[-1] if passed else value.base)
