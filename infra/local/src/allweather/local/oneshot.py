"""Programs that run once, to prepare a server's folder."""

import asyncio
from pathlib import Path

from allweather.local.errors import PreparationFailed


async def run(*command: str, folder: Path, statements: str = "") -> None:
    """Run `command` to its end, with `statements` as its standard input."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    output, _ = await process.communicate(statements.encode())
    if process.returncode:
        raise PreparationFailed(f"{command[0]} ended with {process.returncode}:\n{output.decode(errors='replace')}")
