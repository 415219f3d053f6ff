from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def members(root: Path) -> list[Path]:
    """Every member of the workspace."""
    return sorted(path.parent for pattern in ("*", "*/*") for path in root.glob(f"{pattern}/pyproject.toml"))


@pytest.fixture(scope="session")
def sources(members: list[Path]) -> list[Path]:
    """Every module that is shipped."""
    return sorted(path for member in members for path in (member / "src" / "allweather").rglob("*.py"))
