"""Keys for requests that came without one."""

import os
from uuid import UUID


def uuid7(now_ms: int) -> UUID:
    """A UUID of version 7: the time in front, so that the ids of a day lie together; the rest is random."""
    random = int.from_bytes(os.urandom(10), "big")
    value = (now_ms & (1 << 48) - 1) << 80 | random
    value = value & ~(0xF << 76) | 0x7 << 76
    return UUID(int=value & ~(0x3 << 62) | 0x2 << 62)
