"""Claim checks: large bodies stay here under their digest, records carry the digest.

A store is content-addressed, so writing twice is writing once, and what is read is verified against its name.
An object store (S3) is a second implementation of `Payloads`: the digest as object key, a conditional put.
"""

import asyncio
import contextlib
import os
import re
import tempfile
from pathlib import Path
from typing import Protocol

from allweather.contracts.model import digest

_DIGEST = re.compile(r"[0-9a-f]{64}")


class PayloadMissing(Exception):
    """No payload is kept under this digest."""


class PayloadCorrupt(Exception):
    """What is kept under this digest is not what was written."""


class Payloads(Protocol):
    """Where large bodies are kept. A digest is SHA-256 in 64 hexadecimal characters, as `contracts.model.digest`."""

    async def put(self, content: bytes) -> str:
        """Keep `content` durably and return its digest. Keeping it again is harmless."""
        ...

    async def get(self, digest: str) -> bytes:
        """The content of `digest`, verified. Raises PayloadMissing or PayloadCorrupt."""
        ...

    async def discard(self, digest: str) -> None:
        """Forget `digest`, if it is known."""
        ...

    async def ping(self) -> None:
        """Raise unless the store can be used."""
        ...


class DirectoryPayloads:
    """A store in a folder, which may be shared by many processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, content: bytes) -> str:
        name = digest(content)
        await asyncio.to_thread(_write, self._path(name), content)
        return name

    async def get(self, digest: str) -> bytes:
        return await asyncio.to_thread(_read, self._path(digest))

    async def discard(self, digest: str) -> None:
        await asyncio.to_thread(self._path(digest).unlink, missing_ok=True)

    async def ping(self) -> None:
        if not await asyncio.to_thread(os.access, self._folder, os.W_OK | os.X_OK):
            raise PermissionError(f"{self._folder} is not a folder that can be written")

    def _path(self, name: str) -> Path:
        if not _DIGEST.fullmatch(name):
            raise PayloadMissing(f"{name[:80]!r} is not a digest")
        return self._folder / name[:2] / name


class MemoryPayloads:
    """A store that lasts as long as the process, for tests."""

    def __init__(self) -> None:
        self._contents: dict[str, bytes] = {}

    async def put(self, content: bytes) -> str:
        name = digest(content)
        self._contents[name] = content
        return name

    async def get(self, digest: str) -> bytes:
        try:
            return self._contents[digest]
        except KeyError:
            raise PayloadMissing(digest) from None

    async def discard(self, digest: str) -> None:
        self._contents.pop(digest, None)

    async def ping(self) -> None:
        """Memory is always there."""


def _write(path: Path, content: bytes) -> None:
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).rename(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(file.name).unlink()
            raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make the new name itself durable, not only the content."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise PayloadMissing(path.name) from None
    if digest(content) != path.name:
        raise PayloadCorrupt(path.name)
    return content
