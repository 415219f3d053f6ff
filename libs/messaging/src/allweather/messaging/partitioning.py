"""The partition of a key, as every Kafka client computes it (murmur2 with Kafka's seed)."""

import struct
from functools import lru_cache

_MASK = 0xFFFFFFFF
_M = 0x5BD1E995
_SEED = 0x9747B28C


# Records about a request follow one another, with its id as their key. Older ones need not be remembered, at 250 bytes.
@lru_cache(maxsize=1024)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition to which every client sends `key` in a topic with so many partitions."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(key: bytes) -> int:
    """The 32-bit hash, unsigned."""
    words, rest = divmod(len(key), 4)
    value = _SEED ^ len(key)
    for word in struct.unpack_from(f"<{words}I", key):
        word = word * _M & _MASK
        value = value * _M & _MASK ^ (word ^ word >> 24) * _M & _MASK
    if rest:
        value = (value ^ int.from_bytes(key[-rest:], "little")) * _M & _MASK
    value = (value ^ value >> 13) * _M & _MASK
    return value ^ value >> 15
