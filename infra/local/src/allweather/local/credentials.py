"""Secrets of the local stack, made on its first start and kept in the state folder for their owner only."""

import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class Credentials:
    """The files that services are told about."""

    secret_file: Path
    keys_file: Path

    @classmethod
    def ensure(cls, folder: Path, tenants: Iterable[str]) -> Self:
        """Make what is missing; what exists stays, so that ids and keys outlive a restart."""
        made = cls(folder / "secret.key", folder / "keys.json")
        _write_once(made.secret_file, secrets.token_hex(32))
        _write_once(made.keys_file, json.dumps({"keys": [_development_key(tenant) for tenant in tenants]}, indent=2))
        return made

    def key_of(self, tenant: str) -> str:
        """The development API key of `tenant`."""
        return development_keys(self.keys_file)[tenant]


def development_keys(keys_file: Path) -> dict[str, str]:
    """The API key of each tenant; nothing before the first start."""
    if not keys_file.exists():
        return {}
    return {entry["tenant"]: entry["key"] for entry in json.loads(keys_file.read_text())["keys"]}


def _development_key(tenant: str) -> dict[str, str]:
    return {"key": f"aw_{secrets.token_urlsafe(32)}", "tenant": tenant}


def _write_once(file: Path, content: str) -> None:
    """Create `file`, closed to others from its first moment; an existing one is left alone."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "w") as stream:
        stream.write(content)
