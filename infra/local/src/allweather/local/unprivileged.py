"""Postgres refuses to run as root. In a container root is often all there is: this finds another footing."""

import hashlib
import os
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from allweather.local.errors import NoFooting

_NOBODY = 65534
_UNSHARE = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
_SETPRIV = ("setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups")


@dataclass(frozen=True)
class Footing:
    """What to put before a command so that it does not run as root, and where it finds and keeps its files."""

    prefix: tuple[str, ...]
    data: Path
    programs: Path

    def prepare(self) -> None:
        self.data.parent.mkdir(parents=True, exist_ok=True)
        if self.prefix == _SETPRIV:
            self.data.mkdir(mode=0o700, exist_ok=True)
            os.chown(self.data, _NOBODY, _NOBODY)


def find(data: Path, programs: Path) -> Footing:
    """The best footing here: oneself, a user namespace, or another uid with files outside of root's folders."""
    if os.geteuid() != 0:
        return Footing((), data, programs)
    if _works(_UNSHARE):
        return Footing(_UNSHARE, data, programs)
    if _works(_SETPRIV):
        return another_uid(data, programs)
    raise NoFooting("Postgres does not run as root: use another user, or name a server by ALLWEATHER_POSTGRES_DSN")


def another_uid(data: Path, programs: Path) -> Footing:
    """Files that `nobody` can reach: data in a folder of its own, and a copy of programs in a closed folder."""
    shared = Path("/var/tmp/allweather")  # outlives a reboot, and is open to another uid
    home = shared / hashlib.sha256(bytes(data.absolute())).hexdigest()[:12]
    if not _open_to_all(programs):
        programs = _copied(programs, shared)
    return Footing(_SETPRIV, home / data.name, programs)


def _copied(programs: Path, into: Path) -> Path:
    """A copy of programs out of a wheel, with its libraries: they look for these beside their package."""
    package = programs.parent
    for folder in (package.with_name(f"{package.name}.libs"), programs):
        if folder.exists():
            copy = into / folder.relative_to(package.parent)
            shutil.copytree(folder, copy, dirs_exist_ok=True, symlinks=True)
    return into / package.name / programs.name


def _open_to_all(path: Path) -> bool:
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (path, *path.absolute().parents))


def _works(prefix: tuple[str, ...]) -> bool:
    if not shutil.which(prefix[0]):
        return False
    return subprocess.run((*prefix, "true"), capture_output=True, check=False).returncode == 0
