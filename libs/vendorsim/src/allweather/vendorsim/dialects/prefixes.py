"""Prompt caches that work by themselves: how much of a prompt was seen lately."""

from collections.abc import Iterator, Sequence
from hashlib import blake2b

from allweather.vendorsim.memory import PromptCache
from allweather.vendorsim.wire import encode

_SECONDS = 300.0


def seen_share(cache: PromptCache, begin: object, turns: Sequence[object], now: float) -> float:
    """Return the part (0 to 1) of a prompt that the cache holds, and remember all of it."""
    found = list(_prefixes(begin, turns))
    known = cache.longest([digest for digest, _ in found], now)
    for digest, _ in found:
        cache.keep(digest, now, _SECONDS)
    return found[known - 1][1] / found[-1][1] if known else 0.0


def _prefixes(begin: object, turns: Sequence[object]) -> Iterator[tuple[bytes, int]]:
    """Yield a digest of the prompt up to and with each turn, and its length in bytes."""
    part = encode(begin)
    digest, length = blake2b(part, digest_size=16), len(part)
    for turn in turns:
        part = encode(turn)
        digest.update(part)
        length += len(part)
        yield digest.digest(), length
