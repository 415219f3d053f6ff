"""What a call costs by a price, and how it is told."""

import pytest
from pydantic import ValidationError

from allweather.contracts.prices import Price, Rates, Tier
from allweather.contracts.slip import Usage


def test_cached_and_written_tokens_are_priced_apart() -> None:
    price = Price(input=2, output=10, cached_input=0.2, cache_write=2.5)
    usage = Usage(
        input_tokens=1_000_000, cached_input_tokens=500_000, cache_write_tokens=100_000, output_tokens=100_000
    )

    assert price.cost(usage) == 0.8 + 0.1 + 0.25 + 1.0


def test_without_rates_of_their_own_they_cost_what_input_costs() -> None:
    usage = Usage(input_tokens=1_000_000, cached_input_tokens=500_000, cache_write_tokens=100_000)

    assert Price(input=2).cost(usage) == 2


@pytest.mark.parametrize(("tokens", "rate"), [(200, 1), (201, 2), (300, 2), (301, 3)])
def test_above_a_bound_all_tokens_cost_the_rates_of_the_tier(tokens: int, rate: float) -> None:
    price = Price(input=1, tiers=(Tier(above=200, input=2), Tier(above=300, input=3)))

    assert price.rates(Usage(input_tokens=tokens)).input == rate


def test_tiers_out_of_order_are_refused() -> None:
    with pytest.raises(ValidationError, match="ascending"):
        Price(input=1, tiers=(Tier(above=300, input=2), Tier(above=200, input=3)))


def test_rates_are_told_with_all_that_a_reader_needs() -> None:
    assert Rates(input=1.75, output=14, cached_input=0.175).told == "in 1.75, out 14, cached 0.175"
    assert Rates(input=0.13).told == "in 0.13, out 0"
