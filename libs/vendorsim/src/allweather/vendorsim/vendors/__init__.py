"""The vendors, by the first part of the path under which each is served."""

from collections.abc import Mapping

from allweather.vendorsim.vendors.anthropic import Anthropic
from allweather.vendorsim.vendors.azure_openai import AzureOpenAI
from allweather.vendorsim.vendors.openai import OpenAI
from allweather.vendorsim.vendors.opensource import OpenSource
from allweather.vendorsim.vendors.vertex import Vertex
from allweather.vendorsim.wire import Vendor

VENDORS: Mapping[str, Vendor] = {
    "anthropic": Anthropic(),
    "openai": OpenAI(),
    "azure": AzureOpenAI(),
    "vertex": Vertex(),
    "opensource": OpenSource(),
}
NAMES: Mapping[str, str] = {vendor.name: prefix for prefix, vendor in VENDORS.items()}
"""The name a vendor has in faults, records and routes -> its prefix."""
