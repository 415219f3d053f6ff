"""Vectors as OpenAI writes them."""

import base64
import struct
from collections.abc import Sequence

import msgspec

from allweather.contracts.embedding import Encoding, Vectors
from allweather.dialects.lenient import Json


def render(vectors: Vectors, encoding: Encoding) -> bytes:
    """The answer as one body."""
    written = [
        {"object": "embedding", "index": index, "embedding": packed(values) if encoding == "base64" else values}
        for index, values in enumerate(vectors.values)
    ]
    tokens = vectors.usage.input_tokens if vectors.usage else 0
    body: Json = {
        "object": "list",
        "data": written,
        "model": vectors.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    return msgspec.json.encode(body)


def packed(values: Sequence[float]) -> str:
    """The numbers as the bytes of 32-bit floats, little end first."""
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()


def unpacked(text: str) -> Sequence[float]:
    """The numbers in such bytes. Raises `ValueError` when they are none."""
    raw = base64.b64decode(text, validate=True)
    if len(raw) % 4:
        raise ValueError("not a whole number of 32-bit floats")
    return struct.unpack(f"<{len(raw) // 4}f", raw)
