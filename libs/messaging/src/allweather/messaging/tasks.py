"""Running coroutines side by side without wrapping their errors."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any


async def until_first(*work: Coroutine[Any, Any, None]) -> None:
    """Run all until one ends, end the others, and raise what it raised."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ended = [task for task in tasks if task.done()]
        await cancel(*(task for task in tasks if not task.done()))
    for task in ended:
        task.result()


async def cancel(*tasks: asyncio.Task[Any]) -> None:
    """End tasks and wait until they have; what they raise at their end is of no interest any more."""
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError, Exception):
            await task
