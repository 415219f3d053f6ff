"""The translators, one line each. A new vendor is a module here, a folder of recordings, and its line below."""

from collections.abc import Mapping

from allweather.provider_worker.vendors.anthropic import Anthropic
from allweather.provider_worker.vendors.azure_openai import AzureOpenAi
from allweather.provider_worker.vendors.mistral import Mistral
from allweather.provider_worker.vendors.open_source import OpenSource
from allweather.provider_worker.vendors.openai import OpenAi
from allweather.provider_worker.vendors.vertex import Vertex
from allweather.provider_worker.wire import Translator

VENDORS: Mapping[str, Translator] = {
    "anthropic": Anthropic(),
    "azure_openai": AzureOpenAi(),
    "mistral": Mistral(),
    "open_source": OpenSource(),
    "openai": OpenAi(),
    "vertex": Vertex(),
}
"""By the `api` of the catalogue's vendors."""
