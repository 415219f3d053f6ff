"""What a service does about its memory: few pauses of the collector, and what is free goes back."""

import asyncio
import contextlib
import ctypes
import gc
from collections.abc import Callable
from typing import Any, Final

TRIM_EVERY_S = 10.0
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's `mallopt` (malloc.h)."""
_LARGE: Final = 256 * 1024


def settle() -> None:
    """Arrange what the imports have made for a long life. Called once, before the service begins."""
    _spare_the_collector()
    _give_buffers_back()


async def trimming(stopping: asyncio.Event) -> None:
    """Give back what is free between what is still in use, again and again: it takes a millisecond.

    glibc by itself gives back only the end of its heap. Connections, consumers and producers that come and go leave
    holes in it, and those of an hour of outages came to a tenth of a process.
    """
    trim = _of_the_system("malloc_trim")
    while trim is not None and not stopping.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), TRIM_EVERY_S)
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
