"""The vendors, by the first part of the path under which each is served."""

from collections.abc import Mapping

from allweather.vendorsim.vendors.anthropic import Anthropic
from allweather.vendorsim.vendors.azure_openai import AzureOpenAI
from allweather.vendorsim.vendors.mistral import Mistral
from allweather.vendorsim.vendors.openai import OpenAI
from allweather.vendorsim.vendors.opensource import OpenSource
from allweather.vendorsim.vendors.vertex import Vertex
from allweather.vendorsim.wire import Vendor

_KINDS: Mapping[str, type[Anthropic | OpenAI | AzureOpenAI | Vertex | OpenSource | Mistral]] = {
    "anthropic": Anthropic,
    "openai": OpenAI,
    "azure": AzureOpenAI,
    "vertex": Vertex,
    "opensource": OpenSource,
    "mistral": Mistral,
}
NAMES: Mapping[str, str] = {kind.name: prefix for prefix, kind in _KINDS.items()}
"""The name a vendor has in faults, records and routes -> its prefix."""


def simulated() -> Mapping[str, Vendor]:
    """Return all vendors by their prefixes, with nothing in their memories yet."""
    return {prefix: kind() for prefix, kind in _KINDS.items()}
