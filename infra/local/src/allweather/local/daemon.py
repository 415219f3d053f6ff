"""The life of a detached supervisor: until it is told to stop, or its owner is gone."""

import asyncio
import os
import signal
from pathlib import Path

from allweather.contracts.config import InvalidConfiguration
from allweather.local.errors import StackError
from allweather.local.plan import Options
from allweather.local.running import running
from allweather.local.settings import LocalSettings
from allweather.local.state import exists

_OWNER_LOOK = 1.0


def detach(log: Path) -> None:
    """Go on as a process of its own, with `log` as output; the parent prints our pid and ends.

    So nobody who starts a stack has to wait for it, and Ctrl-C in their terminal does not reach it.
    """
    if child := os.fork():
        _say(str(child))
        os._exit(0)
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)


async def main(settings: LocalSettings, options: Options) -> int:
    """Run the system and return the exit code; an expected failure is one readable message in the log."""
    life = asyncio.current_task()
    assert life is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        # Cancelling undoes a start that is under way as well as one that is complete.
        asyncio.get_running_loop().add_signal_handler(number, life.cancel)
    try:
        async with running(settings, options, _say):
            await _end_of(options.owner)
    except (StackError, InvalidConfiguration) as problem:
        _say(str(problem))
        return 1
    except asyncio.CancelledError:
        _say("stopped")
    return 0


async def _end_of(owner: int | None) -> None:
    while owner is None or exists(owner):
        await asyncio.sleep(_OWNER_LOOK)


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the standard output is this process's log
