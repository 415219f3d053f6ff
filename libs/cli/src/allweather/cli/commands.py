"""Commands that other packages register, found by entry point and loaded only when one is used.

    [project.entry-points."allweather.commands"]
    audit = "allweather.audit_sink.commands:app"    # a typer.Typer: `allweather audit verify`
    status = "allweather.local.commands:status"     # a function: `allweather status`

The help line is the docstring's first line, of the function or else of the module, read without importing it.
"""

import ast
import importlib.util
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from allweather.cli.output import CommandFailed

GROUP = "allweather.commands"


class LazyCommand(TyperCommand):
    """Stands for a registered command until it is used; only its help line is known before."""

    def __init__(self, entry: EntryPoint) -> None:
        super().__init__(entry.name, callback=None, help=help_line(entry))
        self._entry = entry

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """The context of the real command, which is loaded now. Raises CommandFailed when it cannot be."""
        return load(self._entry).make_context(*args, **kwargs)


def registered() -> Iterator[LazyCommand]:
    """Every registered command, by name."""
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        yield LazyCommand(entry)


def load(entry: EntryPoint) -> Any:
    """The command behind `entry`, whatever can be wrong with its package told in one line."""
    try:
        target = entry.load()
    except Exception as error:
        raise CommandFailed(f"{entry.value} cannot be loaded: {type(error).__name__}: {error}") from error
    if isinstance(target, typer.Typer):
        return typer.main.get_group(target)
    if callable(target):
        return _command(entry.name, target)
    raise CommandFailed(f"{entry.value} is neither a typer.Typer nor a function")


def help_line(entry: EntryPoint) -> str:
    """One line about `entry`, read from its source."""
    try:
        spec = importlib.util.find_spec(entry.module)
    except Exception as error:  # noqa: BLE001 - a broken package must not break the help of the others
        return f"(cannot be loaded: {type(error).__name__})"
    if spec is None or spec.origin is None:
        return "(cannot be loaded: no such module)"
    return _documented(Path(spec.origin), entry.attr)


def _documented(source: Path, name: str) -> str:
    try:
        module = ast.parse(source.read_text())
    except (OSError, ValueError, SyntaxError) as error:
        return f"(cannot be loaded: {type(error).__name__})"
    functions = (node for node in module.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    documented = next((function for function in functions if function.name == name), module)
    return (ast.get_docstring(documented) or "").partition("\n")[0]


def _command(name: str, function: Callable[..., Any]) -> Any:
    app = typer.Typer(add_completion=False)
    app.command(name)(function)
    return typer.main.get_command(app)
