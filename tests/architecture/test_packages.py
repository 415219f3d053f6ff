"""One name everywhere, and no folder in which modules escape the contracts."""

import tomllib
from pathlib import Path

import grimp

SCRIPTS = {"migrations", "alembic_environment"}
"""Folders whose files Alembic runs by path; they are no modules."""


def test_the_namespace_is_nobody_s_package(members: list[Path]):
    """An `__init__.py` in any `src/allweather/` would hide every other member."""
    assert [member.name for member in members if (member / "src/allweather/__init__.py").exists()] == []


def test_a_member_has_one_name_as_folder_distribution_and_module(members: list[Path]):
    for member in members:
        project = tomllib.loads((member / "pyproject.toml").read_text())
        [module] = [path.name for path in (member / "src/allweather").iterdir() if path.name != "__pycache__"]

        assert project["project"]["name"] == f"allweather-{member.name}"
        assert module == member.name.replace("-", "_")
        assert project["tool"]["uv"]["build-backend"]["module-name"] == f"allweather.{module}"
        assert (member / "src/allweather" / module / "py.typed").exists()


def test_every_module_is_seen_by_the_contracts(members: list[Path], sources: list[Path]):
    """Modules in a folder without an `__init__.py` are left out of the import graph, and so escape every contract."""
    graph = grimp.build_graph("allweather", cache_dir=None)
    roots = [member / "src" for member in members]
    expected = {
        _module(path, next(root for root in roots if path.is_relative_to(root)))
        for path in sources
        if not SCRIPTS & set(path.parts)
    }

    assert sorted(expected - graph.modules) == []


def test_every_member_has_a_page_that_says_what_it_promises(members: list[Path]):
    assert [member.name for member in members if not (member / "README.md").exists()] == []


START = """\
from allweather.{module}.app import main
from allweather.{module}.settings import Settings
from allweather.runtime.service import run
from allweather.telemetry.process import observed

run("{name}", Settings, main, observed)
"""


def test_every_service_starts_in_the_same_way(root: Path):
    for service in sorted(path.parent for path in root.glob("services/*/pyproject.toml")):
        module = service.name.replace("-", "_")
        started = service / "src/allweather" / module / "__main__.py"

        assert started.read_text() == START.format(module=module, name=service.name)


def _module(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
