"""Lint a copied tree again and again, each time with some lines added: one process, since starting the linter is slow.

Standard input: `{"config": path, "tree": path, "cases": [[contract or null, {module path: lines}], ...]}`.
Standard output: for each case, the exit code of the linter and what it printed.
"""

import contextlib
import importlib
import io
import json
import shutil
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from importlinter import cli


@contextmanager
def added(tree: Path, lines: dict[str, str]) -> Generator[None]:
    """The tree with `lines` appended to its modules (or packages), which are restored or removed afterwards."""
    with contextlib.ExitStack() as stack:
        for name, text in lines.items():
            stack.enter_context(_appended(_file(tree / "allweather" / name), text))
        importlib.invalidate_caches()
        yield


@contextmanager
def _appended(path: Path, text: str) -> Generator[None]:
    before = path.read_text() if path.exists() else None
    new_folder = not path.parent.exists()
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{before or ''}\n{text}\n")
    yield
    if before is not None:
        path.write_text(before)
    elif new_folder:
        shutil.rmtree(path.parent)
    else:
        path.unlink()


def _file(module: Path) -> Path:
    return module / "__init__.py" if module.is_dir() else module.with_suffix(".py")


def _linted(config: str, contract: str | None) -> tuple[int, str]:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = cli.lint_imports(config, (contract,) if contract else (), no_cache=True, no_logo=True)
    return code, said.getvalue()


def main() -> None:
    asked = json.load(sys.stdin)
    results: list[tuple[int, str]] = []
    for contract, lines in asked["cases"]:
        with added(Path(asked["tree"]), lines):
            results.append(_linted(asked["config"], contract))
    json.dump(results, sys.stdout)


main()
