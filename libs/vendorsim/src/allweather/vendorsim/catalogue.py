"""The models and places the simulated vendors know. Anything else gets the vendor's own "not found"."""

from collections.abc import Mapping
from typing import NamedTuple


class Model(NamedTuple):
    """One model: the id it answers with, and what fits into it."""

    id: str
    window: int
    """Most input tokens it takes."""
    max_output: int


_HAIKU = Model("claude-haiku-4-5-20251001", 200_000, 64_000)
_SONNET = Model("claude-sonnet-4-6", 1_000_000, 128_000)
_OPUS = Model("claude-opus-4-6", 1_000_000, 128_000)
_GPT = Model("gpt-5.2-2025-12-11", 272_000, 128_000)
_GEMINI_FLASH = Model("gemini-3.5-flash", 1_048_576, 65_535)
_GEMINI_PRO = Model("gemini-3.1-pro-preview", 1_048_576, 65_536)
_GPT_OSS = Model("openai/gpt-oss-120b", 131_072, 65_536)

ANTHROPIC: Mapping[str, Model] = {
    "claude-haiku-4-5": _HAIKU,
    "claude-haiku-4-5-20251001": _HAIKU,
    "claude-sonnet-4-6": _SONNET,
    "claude-opus-4-6": _OPUS,
}
OPENAI: Mapping[str, Model] = {"gpt-5.2": _GPT, "gpt-5.2-2025-12-11": _GPT}
AZURE_DEPLOYMENTS: Mapping[str, Model] = {"gpt-5-2": _GPT}
VERTEX: Mapping[str, Model] = {model.id: model for model in (_GEMINI_FLASH, _GEMINI_PRO)}
OPENSOURCE: Mapping[str, Model] = {_GPT_OSS.id: _GPT_OSS}

AZURE_REGIONS: Mapping[str, str] = {
    "australiaeast": "Australia East",
    "centralus": "Central US",
    "eastus2": "East US 2",
    "koreacentral": "Korea Central",
    "norwayeast": "Norway East",
    "swedencentral": "Sweden Central",
    "uksouth": "UK South",
}
"""Name in URLs -> the human name Azure puts into `x-ms-region`."""

# fmt: off
VERTEX_LOCATIONS = frozenset((
    "global", "us", "eu", "us-central1", "us-east1", "us-east4", "us-east5", "us-south1", "us-west1", "us-west4",
    "northamerica-northeast1", "southamerica-east1", "europe-west1", "europe-west2", "europe-west3", "europe-west4",
    "europe-west6", "europe-west8", "europe-west9", "europe-north1", "europe-central2", "europe-southwest1",
    "asia-east1", "asia-east2", "asia-northeast1", "asia-northeast3", "asia-south1", "asia-southeast1",
    "australia-southeast1", "me-central1", "me-central2", "me-west1",
))
# fmt: on
