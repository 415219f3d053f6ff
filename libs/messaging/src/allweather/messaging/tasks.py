"""Running coroutines side by side without wrapping their errors."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any


async def until_first(*work: Coroutine[Any, Any, None]) -> None:
    """Run all until one ends, end the others, and raise what it raised; of several at once, the first."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ended = [task for task in tasks if task.done()]
        await cancel(*(task for task in tasks if not task.done()))
    errors = [error for task in ended if not task.cancelled() and (error := task.exception())]
    if errors:
        raise errors[0]


async def until_done(future: asyncio.Future[Any]) -> None:
    """Return when it has ended, in whatever way. Who is cancelled here does not cancel it.

    As `asyncio.wait` of one, in a quarter of its time: every batch waits more than once.
    """
    if not future.done():
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.add_done_callback(lambda _: ended.done() or ended.set_result(None))
        await ended


async def settled(future: asyncio.Future[Any]) -> None:
    """Return when it has a result or an error, which stays in it. Who is cancelled here cancels it, as by `await`.

    A turn of the event loop less than `until_done`: its own task is woken.
    """
    if not future.done():
        with suppress(Exception):
            await future


async def cancel(*tasks: asyncio.Task[Any]) -> None:
    """End tasks and wait until they have; what they raise at their end is of no interest any more."""
    for task in tasks:
        task.add_done_callback(heard)
        task.cancel()
    if tasks:
        # Not one `await task` after another: that could not tell their cancellation from our own, and swallow it.
        await asyncio.wait(tasks)


def heard(future: asyncio.Future[Any]) -> None:
    """As a done-callback: an error that nobody waits for any more is no error of the program."""
    if not future.cancelled():
        future.exception()
