"""API keys: who is calling. Only keyed digests of them are kept in memory."""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from allweather.contracts.config import Configuration
from allweather.contracts.mac import mac

MIN_LENGTH: Final = 20
MAX_LENGTH: Final = 256


class InvalidKeys(ValueError):
    """The key file cannot be used; the message says why and never quotes a key."""


class _Key(msgspec.Struct, forbid_unknown_fields=True):
    key: str
    tenant: str


class _Keys(msgspec.Struct, forbid_unknown_fields=True):
    keys: list[_Key]


class Keyring:
    """Knows the tenant of each key. Reading another file replaces all of them at once."""

    def __init__(self, pepper: bytes) -> None:
        self._pepper = pepper
        self._tenants: Mapping[bytes, str] = {}

    def replace(self, content: bytes, configuration: Configuration) -> None:
        """Know the keys of a key file from now on, and no other. Raises `InvalidKeys` and changes nothing."""
        self._tenants = {self._digest(key.key.encode()): key.tenant for key in _read(content, configuration)}

    def tenant(self, authorization: bytes | None) -> str | None:
        """The tenant whose key an `Authorization` header bears, None when it bears none of ours."""
        scheme, _, key = (authorization or b"").partition(b" ")
        return self.tenant_of(key.strip()) if scheme.lower() == b"bearer" else None

    def tenant_of(self, key: bytes) -> str | None:
        """The tenant whose key this is, None when it is nobody's.

        The digest is keyed, so the time that looking it up takes says nothing about any key.
        """
        return self._tenants.get(self._digest(key)) if 0 < len(key) <= MAX_LENGTH else None

    def __len__(self) -> int:
        return len(self._tenants)

    def _digest(self, key: bytes) -> bytes:
        return mac(self._pepper, b"key:" + key)


def _read(content: bytes, configuration: Configuration) -> Iterable[_Key]:
    try:
        keys = msgspec.json.decode(content, type=_Keys).keys
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidKeys(f"not a key file: {error}") from None
    for number, key in enumerate(keys, start=1):
        if not MIN_LENGTH <= len(key.key) <= MAX_LENGTH or not key.key.isascii() or not key.key.isprintable():
            raise InvalidKeys(f"key {number}: not {MIN_LENGTH} to {MAX_LENGTH} printable ASCII characters")
        if configuration.tenant(key.tenant) is None:
            raise InvalidKeys(f"key {number}: no tenant {key.tenant!r} in tenants.yaml")
    return keys
