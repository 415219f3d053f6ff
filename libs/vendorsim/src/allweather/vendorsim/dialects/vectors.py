"""Embeddings that mean something: texts that share words lie close to each other."""

import re
from functools import lru_cache
from hashlib import blake2b
from math import sqrt

_WORD = re.compile(r"\w+")
_PLACES = 16
"""Dimensions that a word touches."""


@lru_cache(maxsize=1024)
def embedding(text: str, model: str, dimensions: int) -> tuple[float, ...]:
    """Return a vector of length 1: the same for the same text, model and number of dimensions."""
    vector = [0.0] * dimensions
    for word in _WORD.findall(text.lower()) or [text]:
        digest = blake2b(f"{model}/{word}".encode(), digest_size=_PLACES * 3).digest()
        for at in range(0, len(digest), 3):
            place = int.from_bytes(digest[at : at + 2]) % dimensions
            vector[place] += digest[at + 2] / 127.5 - 1.0
    length = sqrt(sum(value * value for value in vector)) or 1.0
    return tuple(round(value / length, 8) for value in vector)
