"""The program: options, signals, and the simulation between start and end."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence

import uvloop
from pydantic import ValidationError

from allweather.vendorsim.server import Simulation
from allweather.vendorsim.settings import Settings


def main(arguments: Sequence[str] | None = None) -> None:
    """Run until SIGINT or SIGTERM. Exits with 2 when a setting is wrong, with 1 when a port is taken."""
    given = {name: value for name, value in vars(_parser().parse_args(arguments)).items() if value is not None}
    try:
        settings = Settings(**given)
        simulation = Simulation(settings)
    except (ValidationError, ValueError, OSError) as error:
        sys.exit(_complaint(2, error))
    try:
        uvloop.run(_run(simulation))
    except OSError as error:
        sys.exit(_complaint(1, error))


async def _run(simulation: Simulation) -> None:
    stop = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    async with simulation:
        sys.stderr.write(f"vendorsim listens at {simulation.base_url}\n")
        await stop.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m allweather.vendorsim",
        description="Model vendors as they are on the wire, with faults on demand.",
        epilog="Each option can also be set by an environment variable: --call-log is ALLWEATHER_SIM_CALL_LOG.",
    )
    for name, field in Settings.model_fields.items():
        option = f"--{name.replace('_', '-')}"
        shown = f"{field.description} (default: {field.default})"
        if field.annotation is bool:
            parser.add_argument(option, action="store_true", default=None, help=field.description)
        else:
            parser.add_argument(option, metavar=name.upper(), help=shown)
    return parser


def _complaint(code: int, error: Exception) -> int:
    sys.stderr.write(f"{error}\n")
    return code
