"""Identifiers: every one is derived, so that a retry, a redelivery and a replay name the same thing.

A request id is UUIDv5(tenant, submission key), where the submission key is the caller's idempotency key or `ce_id`,
the key that the HTTP door mints when the caller gave none, or the position of the record on its topic. Because the
tenant is part of the derivation, no caller can name another tenant's request.
"""

import hmac
from dataclasses import dataclass
from hashlib import sha1
from uuid import UUID

from allweather.contracts.mac import mac

_REQUESTS = UUID("5d0c4f0e-7d0b-5b62-9a53-6d1a3b0f3f11")
_TAG_HEX = 16
_NAMED = ~(0xF000 << 64 | 0xC000 << 48)
_VERSION_5 = 5 << 76 | 1 << 63
"""RFC 9562: where a version 5 identifier says what it is, instead of a part of the hash."""


def request_id(tenant: str, submission_key: str) -> UUID:
    """The id of the request that `tenant` submitted under `submission_key`."""
    return UUID(int=_uuid5(_REQUESTS, f"{len(tenant)}:{tenant}:{submission_key}"))


def position_key(topic: str, partition: int, offset: int) -> str:
    """The submission key of a record that carries neither `ce_id` nor an idempotency key."""
    return f"{topic}/{partition}/{offset}"


def attempt_id(request: UUID, n: int) -> UUID:
    """The id of attempt `n` (from 1), whatever deployment it goes to."""
    return UUID(int=_uuid5(request, f"attempt-{n}"))


def event_id(request: UUID, step: str) -> str:
    """The `ce_id` of the record that carries out `step`: the same each time the step is carried out."""
    digits = f"{_uuid5(request, step):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def public_id(request: UUID, tenant: str, secret: bytes) -> str:
    """The id shown to callers: `req_<uuid>_<tag>`; the tag binds it to the tenant."""
    digits = request.hex
    return f"req_{digits}_{_tag(digits, tenant, secret)}"


def parse_public_id(text: str, tenant: str, secret: bytes) -> UUID | None:
    """The request behind a public id, or None when it is malformed or another tenant's."""
    prefix, _, rest = text.partition("_")
    hex_id, _, tag = rest.partition("_")
    if (
        prefix != "req"
        or len(hex_id) != 32
        or not hmac.compare_digest(tag.encode(), _tag(hex_id, tenant, secret).encode())
    ):
        return None
    return UUID(hex=hex_id)


def _uuid5(namespace: UUID, name: str) -> int:
    """The number of `uuid.uuid5(namespace, name)`, in a quarter of its time: every record has at least one."""
    hashed = sha1(namespace.bytes + name.encode(), usedforsecurity=False).digest()
    return int.from_bytes(hashed[:16], "big") & _NAMED | _VERSION_5


def _tag(hex_id: str, tenant: str, secret: bytes) -> str:
    return _hmac(secret, f"id:{tenant}:{hex_id}")[:_TAG_HEX]


def _hmac(secret: bytes, text: str) -> str:
    return mac(secret, text.encode()).hex()


@dataclass(frozen=True, slots=True)
class DoorAddress:
    """Where an HTTP door waits for a reply: its partition of the door topic, signed so that no tenant can forge it."""

    door: str
    partition: int

    def sign(self, request: UUID, secret: bytes) -> str:
        """The header value that names this door for `request`."""
        return f"{self.door}:{self.partition}:{self._mac(request, secret)}"

    @classmethod
    def verify(cls, text: str, request: UUID, secret: bytes) -> "DoorAddress | None":
        """The address in a header value, or None when it was not signed for this request."""
        parts = text.split(":")
        if len(parts) != 3 or not parts[1].isascii() or not parts[1].isdigit():
            return None
        address = cls(parts[0], int(parts[1]))
        valid = hmac.compare_digest(parts[2].encode(), address._mac(request, secret).encode())
        return address if valid else None

    def _mac(self, request: UUID, secret: bytes) -> str:
        return _hmac(secret, f"door:{self.door}:{self.partition}:{request.hex}")[:32]


@dataclass(frozen=True, slots=True)
class BodyReference:
    """The digest under which the payload store holds a body, signed by the door that put it there for one request.

    Without the signature a tenant could name the digest of another tenant's body and have it answered.
    """

    digest: str

    def sign(self, request: UUID, secret: bytes) -> str:
        """The header value that names this body for `request`."""
        return f"{self.digest}:{self._mac(request, secret)}"

    @classmethod
    def verify(cls, text: str, request: UUID, secret: bytes) -> "BodyReference | None":
        """The reference in a header value, or None when it was not signed for this request."""
        digest, _, mac = text.partition(":")
        if not mac:
            return None
        reference = cls(digest)
        return reference if hmac.compare_digest(mac.encode(), reference._mac(request, secret).encode()) else None

    def _mac(self, request: UUID, secret: bytes) -> str:
        return _hmac(secret, f"body:{self.digest}:{request.hex}")[:32]
