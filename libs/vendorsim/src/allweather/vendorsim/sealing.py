"""Opaque items: what a vendor hands out, and knows again when it comes back unmodified.

A seal is base64 and needs no memory: whoever made it can tell that it is its own and what it belongs to.
"""

from base64 import b64encode
from hashlib import blake2b

_SALT = 16
_LENGTH = 80


def seal(owner: str, salt: str, *belongs_to: str) -> str:
    """Return a seal of `owner` on `belongs_to`; another salt (16 letters and digits) gives another seal."""
    return salt + _mark(owner, salt, belongs_to)


def genuine(token: object, owner: str, *belongs_to: str) -> bool:
    """Tell whether `token` is a seal of `owner` on `belongs_to`."""
    if not isinstance(token, str) or len(token) != _LENGTH:
        return False
    return token[_SALT:] == _mark(owner, token[:_SALT], belongs_to)


def _mark(owner: str, salt: str, belongs_to: tuple[str, ...]) -> str:
    data = "\x00".join((salt, *belongs_to)).encode()
    return b64encode(blake2b(data, key=owner.encode(), digest_size=48).digest()).decode()
