"""Credentials, in the memory of this process only: a fixed key, or Google tokens that are fetched and kept fresh."""

import asyncio
import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request
from google.oauth2 import credentials, service_account

from allweather.contracts.failures import FailureKind
from allweather.provider_worker.settings import Lacking
from allweather.provider_worker.wire import failed

log = logging.getLogger(__name__)

SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]


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


class GoogleToken:
    """Access tokens for the account of a credential file, fetched in a thread and kept until shortly before expiry."""

    def __init__(self, info: dict[str, Any]) -> None:
        """The account that `info` describes. Raises KeyError or ValueError when it describes none."""
        self._account = _account(info)
        self.project: str | None = info.get("project_id")
        self._one_at_a_time = asyncio.Lock()

    @property
    def secrets(self) -> Iterable[str]:
        return filter(None, (self._account.token,))

    async def secret(self) -> str:
        if not self._account.valid:
            async with self._one_at_a_time:
                if not self._account.valid:
                    await self._refresh()
        return self._account.token

    async def renew(self) -> bool:
        async with self._one_at_a_time:
            await self._refresh()
        return True

    async def _refresh(self) -> None:
        try:
            await asyncio.to_thread(self._account.refresh, Request())
        except GoogleAuthError as error:
            log.warning("no access token", extra={"error": type(error).__name__})
            raise failed(FailureKind.AUTH_FAILED, "Google gave no access token.", code="no_token") from None


def _account(info: dict[str, Any]) -> Any:
    """Other kinds (such as external accounts) may name programs to run: they are not taken."""
    untyped: Any = {"service_account": service_account.Credentials, "authorized_user": credentials.Credentials}
    match info["type"]:
        case "service_account" as kind:
            return untyped[kind].from_service_account_info(info, scopes=SCOPES)
        case "authorized_user" as kind:
            return untyped[kind].from_authorized_user_info(info, scopes=SCOPES)
        case kind:
            raise ValueError(f"accounts of the type {kind} are not taken")


def from_file(path: Path) -> Credential:
    """The credential in a file: JSON of a Google account, else a key and nothing but a key.

    Raises `Lacking` when it cannot be read or is no credential.
    """
    try:
        content = path.read_text().strip()
        return GoogleToken(json.loads(content)) if content.startswith("{") else FixedKey(content)
    except (OSError, ValueError, KeyError) as error:
        raise Lacking(f"{path.name} is not a credential ({type(error).__name__})") from None
