import configparser
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


@pytest.fixture(scope="session")
def decisions(root: Path, sources: list[Path]) -> list[Path]:
    """The modules that decide and must be pure; a package stands for all modules in it."""
    configuration = configparser.ConfigParser()
    configuration.read(root / ".importlinter")
    names = configuration["importlinter:contract:decisions"]["source_modules"].split()
    stems = tuple(f"src/{name.replace('.', '/')}" for name in names)
    return [path for path in sources if any(f"{stem}/" in str(path) or f"{stem}.py" in str(path) for stem in stems)]
