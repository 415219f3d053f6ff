"""The state folder: logs, the lock of the one supervisor, and a record of every program that runs.

A record holds the program's pid and the moment it was created, so that a pid which was given to another program since
is never mistaken for ours.
"""

import fcntl
import json
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from allweather.local.errors import AlreadyRunning

_LARGEST_LOG = 32 * 1024 * 1024


class StateFolder:
    """Paths and small files below one folder, readable by its owner only."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.logs = self.root / "logs"
        self._records = self.root / "processes"

    def create(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o700)
        self.logs.mkdir(exist_ok=True)
        self._records.mkdir(exist_ok=True)

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def rotate_log(self, name: str) -> None:
        """Keep one older file once a log has grown large; to be called while nobody writes to it."""
        log = self.log(name)
        if log.exists() and log.stat().st_size > _LARGEST_LOG:
            log.replace(log.with_suffix(".log.1"))

    def end_of_log(self, name: str, lines: int = 15) -> str:
        log = self.log(name)
        text = log.read_text(errors="replace") if log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    @contextmanager
    def locked(self) -> Generator[None]:
        """Hold the folder for this process; the kernel frees it even when the process is killed."""
        self.create()
        with (self.root / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunning(f"the stack of {self.root} is already up") from None
            yield

    def record(self, name: str, pid: int) -> None:
        """Write down a program that was just started; one that has ended already needs no record."""
        with suppress(psutil.NoSuchProcess):
            created = psutil.Process(pid).create_time()
            write_json(self._records / f"{name}.json", {"pid": pid, "created": created})

    def forget(self, name: str) -> None:
        (self._records / f"{name}.json").unlink(missing_ok=True)

    def left_over(self) -> dict[str, psutil.Process]:
        """The recorded programs that are still alive."""
        found = {file.stem: alive(read_json(file)) for file in self._records.glob("*.json")}
        return {name: process for name, process in found.items() if process}


def alive(record: dict[str, Any]) -> psutil.Process | None:
    """The process of a record, unless it is gone or its pid belongs to another program now."""
    try:
        process = psutil.Process(record["pid"])
        same = abs(process.create_time() - record["created"]) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, KeyError):
        return None
    return process if same else None


def exists(pid: int) -> bool:
    """Whether a process of this pid runs; one that only waits to be reaped does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def write_json(file: Path, content: dict[str, Any]) -> None:
    """Replace `file` in one step: a reader sees the old content or the new."""
    descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    with os.fdopen(descriptor, "w") as stream:
        json.dump(content, stream, indent=2)
    os.replace(temporary, file)


def read_json(file: Path) -> dict[str, Any]:
    """The content of `file`; nothing when it is not there."""
    return json.loads(file.read_text()) if file.exists() else {}
