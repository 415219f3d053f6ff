"""What a service does about its memory: few pauses of the collector, and what is free goes back."""

import asyncio
import contextlib
import ctypes
import gc
import itertools
from collections.abc import Callable
from typing import Any, Final

TRIM_EVERY_S = 10.0
TRIMS_A_COLLECTION: Final = 6
"""A full collection is a pause of several milliseconds: once a minute, it is no request's hundredth."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's `mallopt` (malloc.h)."""
_LARGE: Final = 256 * 1024


def settle() -> None:
    """Arrange what the imports have made for a long life. Called once, before the service begins."""
    _spare_the_collector()
    _give_buffers_back()


async def tidying(stopping: asyncio.Event) -> None:
    """Give back what is free between what is still in use, again and again, and sometimes what is kept by itself alone.

    glibc by itself gives back only the end of its heap. Connections, consumers and producers that come and go leave
    holes in it, and those of an hour of outages came to a tenth of a process. Giving them back takes a millisecond.

    And what refers to itself is kept until a million more objects have been made than freed. A future is such, with the
    error that names the frame which awaited it: after an hour of outages the door held 1,400 of them, each with the
    request that was not accepted.
    """
    trim = _of_the_system("malloc_trim")
    for turn in itertools.count(1):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), TRIM_EVERY_S)
        if stopping.is_set():
            return
        if turn % TRIMS_A_COLLECTION == 0:
            gc.collect()
        if trim is not None:
            trim(0)


def _spare_the_collector() -> None:
    """Keep its pauses out of the path of requests.

    What the imports have made stays, so no collection looks through it again, which would take 30 ms. And with the
    usual threshold (700) the objects of a few requests in flight set off one collection after another, for nothing.
    """
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


def _give_buffers_back() -> None:
    """Have large buffers, which a backlog needs for a while, taken from the system and given back to it at once.

    glibc learns otherwise: after the first of them it takes the next ones from its heap, where what is small settles
    between them, and the process stays as large as it has ever been.
    """
    mallopt = _of_the_system("mallopt")
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
        mallopt(_M_TRIM_THRESHOLD, 4 * _LARGE)


def _of_the_system(name: str) -> Callable[..., Any] | None:
    """A function of the C library, where it has one of that name."""
    return getattr(ctypes.CDLL(None), name, None)
