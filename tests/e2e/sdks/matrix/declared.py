"""Which cells the tests say that they fill, read from their source: nothing is run or imported for it."""

import ast
from collections.abc import Iterator
from pathlib import Path

from matrix.cells import VENDORS


def features(folder: Path) -> dict[tuple[str, str, str, str], str]:
    """Client, API, feature and vendor of each cell -> the test that fills it. Raises ValueError when two do."""
    found: dict[tuple[str, str, str, str], str] = {}
    for path in sorted(folder.glob("test_*.py")):
        for cell, test in _of_module(ast.parse(path.read_text())):
            if cell in found:
                raise ValueError(f"{found[cell]} and {path.name}::{test} both claim {cell}")
            found[cell] = f"{path.name}::{test}"
    return found


def _of_module(module: ast.Module) -> Iterator[tuple[tuple[str, str, str, str], str]]:
    of_file = [_mark(value, "sdk") for value in map(_pytestmark, module.body) if value is not None]
    for test in module.body:
        if isinstance(test, ast.AsyncFunctionDef):
            marks = test.decorator_list
            sdk = next(filter(None, [*(_mark(mark, "sdk") for mark in marks), *of_file]), None)
            feature = next(filter(None, (_mark(mark, "supports") for mark in marks)), None)
            if sdk and feature:
                at = VENDORS if any(arg.arg == "vendor" for arg in test.args.args) else ("",)
                yield from (((sdk[0], feature[0], feature[1], vendor), test.name) for vendor in at)


def _pytestmark(node: ast.stmt) -> ast.expr | None:
    """The mark of a whole file."""
    match node:
        case ast.Assign(targets=[ast.Name(id="pytestmark")], value=value):
            return value
        case _:
            return None


def _mark(node: ast.expr, name: str) -> list[str] | None:
    """The arguments of `@pytest.mark.<name>(...)`, None when it is something else."""
    match node:
        case ast.Call(func=ast.Attribute(attr=attribute), args=args) if attribute == name:
            return [ast.literal_eval(arg) for arg in args]
        case _:
            return None
