"""Credentials, in the memory of this process only: a fixed key, or Google tokens that are fetched and kept fresh."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from allweather.provider_worker.settings import Lacking


class Credential(Protocol):
    async def secret(self) -> str:
        """What to send now. Raises `Failed` (auth_failed) when it cannot be had."""
        ...

    async def renew(self) -> bool:
        """The vendor has rejected the present secret: get another. False when there is only this one."""
        ...

    @property
    def secrets(self) -> Iterable[str]:
        """Everything that must not be repeated to anybody."""
        ...

    @property
    def project(self) -> str | None:
        """The Google Cloud project that it belongs to, if it is one's."""
        ...


class FixedKey:
    """A key that stays the same until the process is restarted with another."""

    project = None

    def __init__(self, key: str) -> None:
        self.secrets = (key,)

    async def secret(self) -> str:
        return self.secrets[0]

    async def renew(self) -> bool:
        return False


def from_file(path: Path) -> Credential:
    """The credential in a file: JSON of a Google account, else a key and nothing but a key.

    Raises `Lacking` when it cannot be read or is no credential.
    """
    try:
        content = path.read_text().strip()
        return _of_google(json.loads(content)) if content.startswith("{") else FixedKey(content)
    except (OSError, ValueError, KeyError) as error:
        raise Lacking(f"{path.name} is not a credential ({type(error).__name__})") from None


def _of_google(account: dict[str, Any]) -> Credential:
    """Only who has such an account pays for Google's library: 15 MB, and a quarter of a worker's start."""
    from allweather.provider_worker.adapters.google import GoogleToken

    return GoogleToken(account)
