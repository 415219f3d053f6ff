"""Maintenance: resolve the broker's jars again and rewrite the lock file (`python -m allweather.local.jar_lock`)."""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jgo.maven import Artifact, MavenContext, PythonResolver

from allweather.local.jars import LOCK_FILE, Jar, digest, write_lock

KAFKA = "4.3.1"
LOG4J = "2.24.3"
ROOTS = (
    f"org.apache.kafka:kafka_2.13:{KAFKA}",
    f"org.apache.kafka:kafka-clients:{KAFKA}",  # unpinned, an old client wins
    f"org.apache.logging.log4j:log4j-slf4j-impl:{LOG4J}",  # without a binding the broker logs nothing
    f"org.apache.logging.log4j:log4j-core:{LOG4J}",
)


def default_repository() -> str:
    """The artifact repository that the resolver itself uses."""
    return next(iter(_context(Path()).remote_repos.values()))


def rewrite(lock: Path = LOCK_FILE) -> int:
    """Write the lock for the newest resolution of ROOTS and return the number of jars."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(8) as pool:
        jars = list(pool.map(_locked, _artifacts(_context(Path(folder)))))
        write_lock(jars, lock)
    return len(jars)


def _context(folder: Path) -> MavenContext:
    # Only the resolver of this library: its environment layer would download a second JDK.
    return MavenContext(resolver=PythonResolver(), repo_cache=folder)


def _artifacts(context: MavenContext) -> list[Artifact]:
    roots, transitive = context.resolver.resolve([context.create_dependency(root) for root in ROOTS])
    return [dependency.artifact for dependency in (*roots, *transitive) if dependency.scope != "provided"]


def _locked(artifact: Artifact) -> Jar:
    content = artifact.resolve().read_bytes()
    return Jar(artifact.groupId, artifact.artifactId, artifact.version, digest(content))


if __name__ == "__main__":
    print(f"{rewrite()} jars locked in {LOCK_FILE}")  # noqa: T201 - this module is a command
