"""The key file, read again whenever it changes: a key that is taken out stops working within seconds."""

import asyncio
import logging
from pathlib import Path
from typing import Final

from allweather.contracts.config import Configuration
from allweather.ingest.keys import InvalidKeys, Keyring
from allweather.runtime.settings import SettingsError, read_secret

log = logging.getLogger(__name__)

LOOK_S: Final = 1.0


class KeyFile:
    """Keeps a keyring as its file says."""

    def __init__(self, path: Path, keyring: Keyring, configuration: Configuration) -> None:
        self._path = path
        self._keyring = keyring
        self._configuration = configuration
        self._seen: tuple[int, int, int] | None = None

    def read(self) -> None:
        """Read the file now. Raises `SettingsError` when it cannot be used."""
        seen = self._stamp()
        try:
            self._keyring.replace(read_secret(self._path), self._configuration)
        except InvalidKeys as error:
            raise SettingsError([f"{self._path}: {error}"]) from None
        self._seen = seen

    async def watch(self) -> None:
        """Follow the file until cancelled. While it is unusable the keys before it stay, and the log says so."""
        while True:
            await asyncio.sleep(LOOK_S)
            await asyncio.to_thread(self._follow)

    def _follow(self) -> None:
        stamp = self._stamp()
        if stamp == self._seen:
            return
        try:
            self.read()
            log.info("api keys read again", extra={"keys": len(self._keyring)})
        except SettingsError as error:
            log.error("api keys cannot be read, the ones before stay: %s", error)
            self._seen = stamp

    def _stamp(self) -> tuple[int, int, int] | None:
        """What changes when somebody writes or replaces the file."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size
