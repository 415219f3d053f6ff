"""`up`, `down` and `status`: a supervisor that outlives the shell, and what other processes learn about it."""

import asyncio
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import psutil

from allweather.local.credentials import development_keys
from allweather.local.errors import AlreadyRunning, StackError, StartFailed
from allweather.local.plan import Options
from allweather.local.probes import ready
from allweather.local.running import DESCRIPTION
from allweather.local.settings import LocalSettings
from allweather.local.state import StateFolder, alive, exists, read_json
from allweather.local.supervisor import Report, end_left_over

LOG = "supervisor"
_POLL = 0.1
_LONGEST_STOP = 90.0


def up(settings: LocalSettings, options: Options, report: Report) -> None:
    """Start a supervisor of its own and return once all is ready, after reporting its progress line by line.

    Raises AlreadyRunning, or StartFailed with the reason when the supervisor gave up.
    """
    state = StateFolder(settings.state_dir)
    state.create()
    if supervisor_of(state):
        raise AlreadyRunning(f"the stack of {state.root} is already up")
    state.rotate_log(LOG)
    state.log(LOG).touch(mode=0o600)
    with state.log(LOG).open() as progress:
        progress.seek(0, 2)
        _follow(state, _launch(settings, options), progress, report)


def down(settings: LocalSettings) -> bool:
    """Stop the supervisor and all that it runs, and end what a killed one left behind; False when nothing ran."""
    state = StateFolder(settings.state_dir)
    supervisor = supervisor_of(state)
    if supervisor:
        with suppress(psutil.NoSuchProcess):
            supervisor.send_signal(signal.SIGTERM)
        _wait_for_end(state)
    with state.locked():
        left_over = end_left_over(state)
    return bool(supervisor or left_over)


def status(settings: LocalSettings) -> dict[str, Any]:
    """The description of the system, with the readiness of each process asked at this moment."""
    state = StateFolder(settings.state_dir)
    if not supervisor_of(state):
        return {"up": False, "services": {}}
    description = _description(state)
    keys = development_keys(Path(description["keys_file"]))
    probed = asyncio.run(_probed(description["services"]))
    return {"up": True} | description | {"key": keys.get("demo"), "keys": keys, "services": probed}


def supervisor_of(state: StateFolder) -> psutil.Process | None:
    """The process that runs the system of this folder, if one does."""
    return alive(_description(state).get("supervisor", {}))


async def _probed(services: dict[str, Any]) -> dict[str, Any]:
    answers = await asyncio.gather(*(ready(service["probe"]) for service in services.values()))
    return {name: services[name] | {"ready": answer} for name, answer in zip(services, answers, strict=True)}


def _description(state: StateFolder) -> dict[str, Any]:
    return read_json(state.root / DESCRIPTION)


def _launch(settings: LocalSettings, options: Options) -> int:
    """The pid of a new supervisor; it is nobody's child."""
    variables = settings.as_environment()
    command = (sys.executable, "-m", "allweather.local", options.model_dump_json())
    started = subprocess.run(command, env=variables, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if started.returncode:
        raise StartFailed(started.stderr.decode(errors="replace"))
    return int(started.stdout)


def _follow(state: StateFolder, supervisor: int, progress: IO[str], report: Report) -> None:
    last = ""
    while True:
        ended = not exists(supervisor)
        for line in progress.read().splitlines():
            last = line
            report(line)
        if _is_ready(state, supervisor):
            return
        if ended:
            raise StartFailed(f"not up: {last}")
        time.sleep(_POLL)


def _is_ready(state: StateFolder, supervisor: int) -> bool:
    description = _description(state)
    return description.get("ready", False) and description["supervisor"]["pid"] == supervisor


def _wait_for_end(state: StateFolder) -> None:
    deadline = time.monotonic() + _LONGEST_STOP
    while supervisor_of(state):
        if time.monotonic() > deadline:
            raise StackError(f"still not down after {_LONGEST_STOP:g} s; see {state.log(LOG)}")
        time.sleep(_POLL)
