"""Access tokens of Google accounts, fetched and kept fresh."""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request
from google.oauth2 import credentials, service_account

from allweather.contracts.failures import FailureKind
from allweather.provider_worker.wire import failed

log = logging.getLogger(__name__)

SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]


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
