"""`allweather up`, `down`, `status` and `logs`."""

import json
import os
from typing import Annotated, Any, Literal

import typer

from allweather.local import detached
from allweather.local.errors import AlreadyRunning, StackError
from allweather.local.plan import Options
from allweather.local.settings import LocalSettings
from allweather.local.state import StateFolder

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def up(
    brokers: Annotated[int, typer.Option(help="Kafka brokers: 1 or 3.")] = 1,
    stack_only: Annotated[bool, typer.Option(help="Kafka, Postgres and Valkey only.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start the stack and every service in the background, and wait until all are ready."""
    if brokers not in (1, 3):
        raise typer.BadParameter("1 or 3", param_hint="--brokers")
    size: Literal[1, 3] = 3 if brokers == 3 else 1
    try:
        detached.up(LocalSettings(), Options(brokers=size, stack_only=stack_only), _progress)
    except AlreadyRunning as present:
        _progress(str(present))
    except StackError as problem:
        raise _failed(problem) from None
    status(as_json=as_json)


def down() -> None:
    """Stop everything that `up` started."""
    try:
        _progress("stopped" if detached.down(LocalSettings()) else "nothing was running")
    except StackError as problem:
        raise _failed(problem) from None


def status(as_json: AsJson = False) -> None:
    """Show where the system is reached and which of its processes are ready; fails when it is not up."""
    found = detached.status(LocalSettings())
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    elif found["up"]:
        _table(found)
    else:
        typer.echo("not up")
    raise typer.Exit(0 if found["up"] else 1)


def logs(
    process: Annotated[str, typer.Argument(help="A process, as `allweather status` names it, or `supervisor`.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as the log grows.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n")] = 100,
) -> None:
    """Show the end of a process's log."""
    log = StateFolder(LocalSettings().state_dir).log(process)
    if not log.exists():
        known = ", ".join(sorted(file.stem for file in log.parent.glob("*.log")))
        raise typer.BadParameter(f"no log of {process}; there are: {known or 'none'}")
    os.execvp("tail", ["tail", f"-n{lines}", *(["-F"] if follow else []), str(log)])  # noqa: S606 - no shell wanted


def _table(found: dict[str, Any]) -> None:
    for name in ("http", "kafka", "postgres", "redis", "simulators", "key", "logs"):
        typer.echo(f"{name:<12} {found[name]}")
    for name, service in found["services"].items():
        state = "ready" if service["ready"] else service["phase"]
        typer.echo(f"  {name:<30} {state:<12} pid {service['pid'] or '-':<8} port {service['port']}")


def _progress(line: str) -> None:
    typer.echo(line, err=True)


def _failed(problem: StackError) -> typer.Exit:
    typer.secho(str(problem), err=True, fg=typer.colors.RED)
    return typer.Exit(1)
