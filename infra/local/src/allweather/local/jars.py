"""The Kafka jars: named by a committed lock file, verified one by one, kept in a cache folder.

No Java build tool is needed: the lock says what to fetch, and the resolver is only asked when the lock is rewritten.
"""

import asyncio
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from allweather.local.errors import JarUnavailable

LOCK_FILE = Path(__file__).parent / "kafka-jars.lock"
ATTEMPTS = 4
DOWNLOADS_AT_ONCE = 8

Report = Callable[[str], None]


@dataclass(frozen=True, order=True)
class Jar:
    """One jar of the broker's class path, by its coordinates and content."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def filename(self) -> str:
        return f"{self.artifact}-{self.version}.jar"

    @property
    def path(self) -> str:
        """Where an artifact repository keeps the jar, below its root."""
        return f"{self.group.replace('.', '/')}/{self.artifact}/{self.version}/{self.filename}"

    def is_whole(self, file: Path) -> bool:
        """Whether `file` exists and holds exactly the locked content."""
        return file.is_file() and digest(file.read_bytes()) == self.sha256


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def read_lock(lock: Path = LOCK_FILE) -> tuple[Jar, ...]:
    """The jars that the broker runs on, in class-path order."""
    lines = (line.split("#")[0].split() for line in lock.read_text().splitlines())
    return tuple(Jar(*line[0].split(":"), sha256=line[1]) for line in lines if line)


def write_lock(jars: Iterable[Jar], lock: Path = LOCK_FILE) -> None:
    header = "# group:artifact:version sha256; rewrite with: python -m allweather.local.jar_lock\n"
    lines = (f"{jar.group}:{jar.artifact}:{jar.version} {jar.sha256}\n" for jar in sorted(jars))
    lock.write_text(header + "".join(lines))


async def ensure(folder: Path, jars: Sequence[Jar], *, repository: str | None, report: Report) -> list[Path]:
    """Return the verified jars, after fetching into `folder` those that are missing or damaged.

    Several programs may do this at the same time: a jar appears under its name only when it is whole.
    """
    missing = await asyncio.to_thread(_missing, folder, jars)
    if missing:
        report(f"fetching {len(missing)} of {len(jars)} Kafka jars into {folder}")
        with tempfile.TemporaryDirectory(prefix=".incoming-", dir=folder) as incoming:
            await _fetch_all(missing, Path(incoming), folder, repository or _usual_repository(), report)
    return [folder / jar.filename for jar in jars]


def _usual_repository() -> str:
    # Half a second of imports, and needed only by the first start on a machine.
    from allweather.local.jar_lock import default_repository

    return default_repository()


def _missing(folder: Path, jars: Sequence[Jar]) -> list[Jar]:
    folder.mkdir(parents=True, exist_ok=True)
    return [jar for jar in jars if not jar.is_whole(folder / jar.filename)]


async def _fetch_all(jars: Sequence[Jar], incoming: Path, folder: Path, repository: str, report: Report) -> None:
    slots = asyncio.Semaphore(DOWNLOADS_AT_ONCE)
    done = 0
    problems: list[str] = []

    async def fetch(session: httpx.AsyncClient, jar: Jar) -> None:
        nonlocal done
        async with slots:
            (incoming / jar.filename).write_bytes(await _download(session, jar))
        os.replace(incoming / jar.filename, folder / jar.filename)
        done += 1
        if done % 10 == 0 or done == len(jars):
            report(f"fetched {done} of {len(jars)} Kafka jars")

    # One session for all of them: a connection for each jar takes twenty times as long.
    async with httpx.AsyncClient(base_url=f"{repository.rstrip('/')}/", timeout=30) as session:
        try:
            async with asyncio.TaskGroup() as downloads:
                for jar in jars:
                    downloads.create_task(fetch(session, jar))
        except* JarUnavailable as failed:
            problems = [str(problem) for problem in failed.exceptions]
    if problems:
        raise JarUnavailable("; ".join(problems))


async def _download(session: httpx.AsyncClient, jar: Jar) -> bytes:
    """The jar's content, verified; a wrong or broken answer is asked for again."""
    problem = ""
    for attempt in range(ATTEMPTS):
        await asyncio.sleep(0.2 * attempt)
        try:
            response = (await session.get(jar.path)).raise_for_status()
        except httpx.HTTPError as error:
            problem = str(error) or type(error).__name__
        else:
            if digest(response.content) == jar.sha256:
                return response.content
            problem = "the content is not what the lock file names"
    raise JarUnavailable(f"{jar.filename}: {problem} ({ATTEMPTS} attempts)")
