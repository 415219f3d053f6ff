"""Running a system below a command, so that nothing of it stays behind when the command is ended."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`; SIGTERM undoes what `main` holds too, as Ctrl-C does. Then the exit code is 143."""
    try:
        return asyncio.run(_until_told(main))
    except asyncio.CancelledError:
        raise SystemExit(128 + signal.SIGTERM) from None


async def _until_told(main: Coroutine[Any, Any, T]) -> T:
    life = asyncio.current_task()
    assert life is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, life.cancel)
    return await main
