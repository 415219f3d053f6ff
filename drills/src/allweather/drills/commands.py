"""`allweather demo`: rehearse an afternoon of outages and check every promise."""

import json
import shutil
from typing import Annotated

import typer

from allweather.drills.evidence import Evidence
from allweather.drills.screen import Screen, print_table
from allweather.drills.stage import Stage, stage
from allweather.drills.story import command, tell
from allweather.drills.summary import Summary
from allweather.local import foreground
from allweather.local.errors import StackError
from allweather.local.plan import Options
from allweather.local.running import running
from allweather.local.settings import LocalSettings

_TIME_FACTOR = 0.1


def demo(
    rate: Annotated[float, typer.Option(help="Requests a second, half through each door.")] = 5.0,
    keep: Annotated[bool, typer.Option(help="Keep the state folder (topics, tables, logs) afterwards.")] = False,
) -> None:
    """Run a busy afternoon on real parts: vendors fail one after another, services are killed, nothing is lost.

    Progress goes to standard error; the last line of standard output is one JSON object. Exit code 1 when a promise
    broke, 3 when the system could not be started.
    """
    try:
        summary = foreground.run(_demo(rate))
    except StackError as problem:
        typer.secho(str(problem), err=True, fg=typer.colors.RED)
        raise typer.Exit(3) from None
    if summary.kept and not keep:
        shutil.rmtree(_settings().state_dir, ignore_errors=True)
    typer.echo(json.dumps(summary.last_line()))
    raise typer.Exit(0 if summary.kept else 1)


def _settings() -> LocalSettings:
    """A system of its own: free ports, its own state folder, simulators only."""
    usual = LocalSettings()
    return usual.model_copy(update={"state_dir": usual.state_dir / "demo", "port_base": 0, "vendors": "simulated"})


async def _demo(rate: float) -> Summary:
    settings = _settings()
    shutil.rmtree(settings.state_dir, ignore_errors=True)
    options = Options(environment={"ALLWEATHER_TIME_FACTOR": str(_TIME_FACTOR)})
    with Screen() as screen:
        screen.note(
            f"Breaker and slow-start times are multiplied by {_TIME_FACTOR}, so that the story fits into minutes."
        )
        async with running(settings, options, screen.note) as system, stage(system, settings) as on:
            summary = await tell(on, screen, rate)
            await _epilogue(on, summary)
    return summary


async def _epilogue(on: Stage, summary: Summary) -> None:
    """The figures, and one request of the worst minutes explained as an auditor would ask."""
    print_table("What the afternoon came to", summary.rows())
    for violation in summary.violations[:20]:
        typer.secho(f"  {violation}", err=True, fg=typer.colors.RED)
    request = _most_travelled(await on.evidence())
    if request:
        _, explanation = await command(on, "audit", "explain", request)
        typer.echo(f"\nOne request, explained (allweather audit explain {request}):\n{explanation}", err=True)


def _most_travelled(e: Evidence) -> str | None:
    """The settled request with the most attempts among those that were parked, else among all."""
    attempts: dict[str, int] = {}
    for dispatch in e.dispatched:
        attempts[str(dispatch.request_id)] = attempts.get(str(dispatch.request_id), 0) + 1
    parked = [r for r in attempts if any(str(p) == r for p in e.parked)]
    return max(parked or attempts, key=lambda r: attempts[r], default=None)
