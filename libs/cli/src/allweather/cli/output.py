"""How commands speak: results on standard output, progress on standard error, failures as one line.

def status(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    progress("asking the services")
    emit(found, as_json=as_json)
"""

import json
from collections.abc import Mapping
from typing import Any, NoReturn, cast

import typer


class CommandFailed(Exception):
    """The command could not do what was asked; the message is one line that says why and what to do."""


def fail(message: str) -> NoReturn:
    """End the command with exit code 1 and this one line."""
    raise CommandFailed(message)


def emit(result: Any, *, as_json: bool, shown: Any = None) -> None:
    """Write the result of a command: as one line of JSON, or for people as `shown` (text or anything rich can draw)."""
    if as_json:
        typer.echo(json.dumps(result, default=str, ensure_ascii=False))
        return
    from rich.console import Console  # costs 0.1 s, which `--json` and `--help` do not pay

    Console(soft_wrap=True).print(_listed(result) if shown is None else shown)


def progress(text: str) -> None:
    """Say what is going on, where it does not disturb whoever reads the result."""
    typer.echo(text, err=True)


def _listed(result: Any) -> Any:
    if isinstance(result, Mapping):
        return "\n".join(f"{name}: {value}" for name, value in cast("Mapping[object, object]", result).items())
    return result
