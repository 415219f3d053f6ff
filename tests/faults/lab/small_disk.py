"""A file system that can be full: a few megabytes of memory, mounted where a server keeps its data."""

import subprocess
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from allweather.local.errors import StackError

_BALLAST = "ballast"
_PIECE = 64 * 1024


class NoSmallDisk(StackError):
    """This machine does not let us mount a file system."""


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Generator[None]:
    """`folder` as a file system of its own. Raises `NoSmallDisk`."""
    folder.mkdir(parents=True)
    mounting = ("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder))
    try:
        subprocess.run(mounting, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as problem:
        raise NoSmallDisk(f"cannot mount a small file system at {folder} (needs root): {problem}") from None
    try:
        yield
    finally:
        subprocess.run(("umount", "--lazy", str(folder)), check=False)


def fill(folder: Path) -> None:
    """Leave not a byte of room."""
    with (folder / _BALLAST).open("ab", buffering=0) as ballast, suppress(OSError):
        while True:
            ballast.write(bytes(_PIECE))


def free(folder: Path) -> None:
    """Give the room back."""
    (folder / _BALLAST).unlink()
