"""The models and places the simulated vendors know. Anything else gets the vendor's own "not found"."""

from collections.abc import Mapping
from typing import NamedTuple


class Model(NamedTuple):
    """One model: the id it answers with, and what fits into it."""

    id: str
    window: int
    """Most input tokens it takes."""
    max_output: int
    efforts: tuple[str, ...] = ()
    """How hard it can be told to think; none of them: it does not reason."""
    usual_effort: str = "none"


class Embedder(NamedTuple):
    """An embedding model."""

    id: str
    window: int
    dimensions: int


_HAIKU = Model("claude-haiku-4-5-20251001", 200_000, 64_000)
_SONNET = Model("claude-sonnet-4-6", 1_000_000, 128_000, ("low", "medium", "high", "max"))
_OPUS = Model("claude-opus-4-6", 1_000_000, 128_000, ("low", "medium", "high", "max"))
_GPT = Model("gpt-5.2-2025-12-11", 272_000, 128_000, ("none", "low", "medium", "high", "xhigh"))
_GPT_MINI = Model("gpt-5-mini-2025-08-07", 272_000, 128_000, ("minimal", "low", "medium", "high"), "medium")
_GPT_CLASSIC = Model("gpt-4.1-2025-04-14", 1_047_576, 32_768)
_GEMINI_FLASH = Model("gemini-3.5-flash", 1_048_576, 65_535)
_GEMINI_PRO = Model("gemini-3.1-pro-preview", 1_048_576, 65_536)
_MISTRAL_MEDIUM = Model("mistral-medium-3-5", 262_144, 262_144, ("none", "high"))
_MISTRAL_SMALL = Model("mistral-small-latest", 262_144, 262_144, ("none", "high"))
_GPT_OSS = Model("openai/gpt-oss-120b", 131_072, 65_536, ("low", "medium", "high"), "none")

ANTHROPIC: Mapping[str, Model] = {
    "claude-haiku-4-5": _HAIKU,
    "claude-haiku-4-5-20251001": _HAIKU,
    "claude-sonnet-4-6": _SONNET,
    "claude-opus-4-6": _OPUS,
}
OPENAI: Mapping[str, Model] = {
    "gpt-5.2": _GPT,
    "gpt-5.2-2025-12-11": _GPT,
    "gpt-5-mini": _GPT_MINI,
    "gpt-5-mini-2025-08-07": _GPT_MINI,
    "gpt-4.1": _GPT_CLASSIC,
    "gpt-4.1-2025-04-14": _GPT_CLASSIC,
}
AZURE_DEPLOYMENTS: Mapping[str, Model] = {"gpt-5-2": _GPT, "gpt-5-mini": _GPT_MINI, "gpt-4-1": _GPT_CLASSIC}
VERTEX: Mapping[str, Model] = {model.id: model for model in (_GEMINI_FLASH, _GEMINI_PRO)}
MISTRAL: Mapping[str, Model] = {model.id: model for model in (_MISTRAL_MEDIUM, _MISTRAL_SMALL)}
OPENSOURCE: Mapping[str, Model] = {_GPT_OSS.id: _GPT_OSS}

OPENAI_EMBEDDERS: Mapping[str, Embedder] = {
    model.id: model
    for model in (Embedder("text-embedding-3-small", 8192, 1536), Embedder("text-embedding-3-large", 8192, 3072))
}
AZURE_EMBEDDERS: Mapping[str, Embedder] = {"text-embedding-3-large": OPENAI_EMBEDDERS["text-embedding-3-large"]}
AZURE_EMBEDDING_REGIONS = frozenset(
    ("australiaeast", "eastus2", "koreacentral", "norwayeast", "swedencentral", "uksouth")
)
OPENSOURCE_EMBEDDERS: Mapping[str, Embedder] = {"BAAI/bge-m3": Embedder("BAAI/bge-m3", 8192, 1024)}
VERTEX_EMBEDDERS: Mapping[str, Embedder] = {
    model.id: model
    for model in (Embedder("gemini-embedding-001", 2048, 3072), Embedder("gemini-embedding-2", 8192, 3072))
}

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
