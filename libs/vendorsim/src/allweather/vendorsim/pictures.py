"""What can be told of a picture from its first bytes: its format and its size."""

import binascii
import re
from base64 import b64decode
from collections.abc import Callable
from typing import NamedTuple

_DATA_URL = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)?(?:;[\w=-]+)*;base64,", re.IGNORECASE)
_JPEG_SIZES = frozenset((*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)))


class Picture(NamedTuple):
    media_type: str
    width: int
    height: int
    size: int
    """Bytes."""


class DataUrl(NamedTuple):
    media_type: str
    data: str
    """Base64."""


def data_url(url: str) -> DataUrl | None:
    """Return the parts of a `data:` URL, or None when it is none that carries base64."""
    found = _DATA_URL.match(url)
    return None if found is None else DataUrl((found["type"] or "").lower(), url[found.end() :])


def decoded(data: object) -> bytes | None:
    """Return the bytes of base64, or None when it is not."""
    if not isinstance(data, str):
        return None
    try:
        return b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return None


def look(data: bytes) -> Picture | None:
    """Return format and size, or None when it is no picture that any vendor takes."""
    for media_type, magic, size_of in _KINDS:
        if data.startswith(magic) and (size := size_of(data)) is not None:
            return Picture(media_type, *size, len(data))
    return None


def _png(data: bytes) -> tuple[int, int] | None:
    return (int.from_bytes(data[16:20]), int.from_bytes(data[20:24])) if data[12:16] == b"IHDR" else None


def _gif(data: bytes) -> tuple[int, int] | None:
    return int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")


def _jpeg(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        if data[at + 1] in _JPEG_SIZES:
            return int.from_bytes(data[at + 7 : at + 9]), int.from_bytes(data[at + 5 : at + 7])
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return None


def _webp(data: bytes) -> tuple[int, int] | None:
    match data[8:16]:
        case b"WEBPVP8X":
            return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
        case b"WEBPVP8L":
            bits = int.from_bytes(data[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"WEBPVP8 ":
            return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
        case _:
            return None


_KINDS: tuple[tuple[str, bytes, Callable[[bytes], tuple[int, int] | None]], ...] = (
    ("image/png", b"\x89PNG\r\n\x1a\n", _png),
    ("image/jpeg", b"\xff\xd8", _jpeg),
    ("image/gif", b"GIF8", _gif),
    ("image/webp", b"RIFF", _webp),
)
