"""Which prices a catalogue needs, and the file in which they are locked. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final

import yaml

from allweather.contracts.prices import Price

HEAD: Final = """\
# Written by `make prices`; not edited by hand. USD per million tokens, for each vendor and model of catalogue.yaml
# without a `price` of its own. The router computes with these, and every outcome says with which. `as_of` is the day
# whose prices they are.
"""

PriceOf = Callable[[str, str, date], Price]
"""The price of a provider's model on a day."""


def needed(catalogue: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Vendor and model of each deployment without a price, once."""
    deployments: Sequence[Mapping[str, Any]] = catalogue["deployments"]
    without = ((each["vendor"], each["model"]) for each in deployments if "price" not in each)
    yield from sorted(set(without))


def locked(catalogue: Mapping[str, Any], day: date, price_of: PriceOf) -> str:
    """The content of the file of prices."""
    providers = {vendor["id"]: vendor["provider_name"] for vendor in catalogue["vendors"]}
    found = {
        f"{vendor}/{model}": price_of(providers[vendor], model, day).model_dump(mode="json", exclude_defaults=True)
        for vendor, model in needed(catalogue)
    }
    return HEAD + yaml.safe_dump({"as_of": day, "prices": found}, sort_keys=False, width=120)
