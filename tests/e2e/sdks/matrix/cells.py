"""What the support matrix holds: for each feature of a client and each vendor, which test has shown it."""

import importlib.metadata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from allweather.contracts import config
from allweather.local.settings import LocalSettings

VENDORS: Final = tuple(vendor.id for vendor in config.load(LocalSettings().config_dir).vendors)
"""In the order of the catalogue: a new vendor is asked everything that the others are."""
PACKAGES: Final = ("openai", "anthropic", "langchain-openai", "langchain-anthropic", "pydantic-ai-slim")
JSON: Final = "support-matrix.json"


class Cell(msgspec.Struct, frozen=True, order=True):
    """One feature of one client at one vendor, shown by one test."""

    sdk: str
    api: str
    feature: str
    vendor: str
    """Empty for a feature in which no vendor has a part."""
    test: str
    refused: str | None = None
    """The field that the error named, where the vendor cannot be asked; None = it is supported."""


class Matrix(msgspec.Struct, frozen=True):
    """Everything that was shown in one run."""

    packages: dict[str, str]
    vendors: tuple[str, ...]
    cells: Sequence[Cell]


def of(passed: Iterable[Cell]) -> Matrix:
    """The matrix of the tests that passed; several runs of one test make one cell."""
    packages = {name: importlib.metadata.version(name) for name in PACKAGES}
    return Matrix(packages, VENDORS, list(dict.fromkeys(passed)))


def save(matrix: Matrix, folder: Path) -> None:
    """Leave the matrix in `folder`."""
    (folder / JSON).write_bytes(msgspec.json.format(msgspec.json.encode(matrix), indent=1) + b"\n")


def read(folder: Path) -> Matrix:
    """The matrix that was left in `folder`."""
    return msgspec.json.decode((folder / JSON).read_bytes(), type=Matrix)
