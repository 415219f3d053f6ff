"""The `allweather` command: a thin shell around the commands that libraries and services register.

Exit codes: 0 done, 1 it failed (one line on standard error says why), 2 it was called wrongly.
"""

import sys
import traceback
from collections.abc import Iterator
from importlib.metadata import version
from typing import Annotated, Any, NoReturn

import typer

from allweather.cli.commands import registered
from allweather.cli.output import CommandFailed

FAILED = 1

app = typer.Typer(name="allweather", rich_markup_mode=None, no_args_is_help=True)


def main() -> NoReturn:
    """Run the command line of this process."""
    try:
        command().main(prog_name="allweather")
    except Exception as error:  # noqa: BLE001 - the one place where a failure becomes a line and an exit code
        _complain(error)
    sys.exit(FAILED)


def command() -> Any:
    """The whole command tree; packages are only imported when one of their commands is used."""
    group: Any = typer.main.get_command(app)
    for lazy in registered():
        group.add_command(lazy)
    return group


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"allweather {version('allweather-cli')}")
        raise typer.Exit


@app.callback()
def allweather(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where a failure came from.")] = False,
) -> None:
    """Keeps a business running when its model vendors do not."""


def _complain(error: Exception) -> None:
    if "--debug" in sys.argv[1:]:
        traceback.print_exception(error)
    for cause in _causes(error):
        kind = "" if isinstance(cause, CommandFailed) else f"{type(cause).__name__}: "
        typer.echo(f"allweather: {kind}{cause}", err=True)


def _causes(error: Exception) -> Iterator[Exception]:
    """What went wrong in itself: a group of errors says nothing that its members do not."""
    members: tuple[Exception, ...] = getattr(error, "exceptions", ())
    for member in members:
        yield from _causes(member)
    if not members:
        yield error
