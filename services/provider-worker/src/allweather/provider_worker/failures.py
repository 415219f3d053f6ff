"""Which failure a status means where the vendor's own code says nothing better, and how a message is made safe."""

import re
from collections.abc import Iterable
from dataclasses import replace

from allweather.contracts.failures import FailureKind
from allweather.provider_worker.wire import Failure

MAX_MESSAGE = 500
MAX_CODE = 100
_SHARED = 8
"""Characters in a row that a word may share with a secret before it counts as a piece of it."""

_BY_STATUS = {
    400: FailureKind.INVALID,
    401: FailureKind.AUTH_FAILED,
    402: FailureKind.MISCONFIGURED,
    403: FailureKind.AUTH_FAILED,
    404: FailureKind.MISCONFIGURED,
    405: FailureKind.MISCONFIGURED,
    408: FailureKind.UNAVAILABLE,
    409: FailureKind.MISCONFIGURED,
    410: FailureKind.MISCONFIGURED,
    413: FailureKind.INVALID,
    422: FailureKind.INVALID,
    424: FailureKind.UNAVAILABLE,  # TGI: the generation failed
    429: FailureKind.RATE_LIMITED,
    499: FailureKind.UNAVAILABLE,  # Vertex: cancelled, though not by us
}


def by_status(status: int) -> FailureKind:
    """What a status means by itself. A redirect is a wrong address: it is never followed."""
    known = _BY_STATUS.get(status)
    if known is not None:
        return known
    if status >= 500 or status < 300:
        return FailureKind.UNAVAILABLE
    return FailureKind.MISCONFIGURED if status < 400 else FailureKind.INVALID


def safe(failure: Failure, secrets: Iterable[str]) -> Failure:
    """The failure with every piece of a secret blotted out, and cut to a length that belongs in a record.

    Vendors echo keys, whole or in part, in their messages about them.
    """
    known = tuple(secrets)
    code = failure.vendor_code
    return replace(
        failure,
        message=_blot(failure.message[: 4 * MAX_MESSAGE], known)[:MAX_MESSAGE],
        vendor_code=None if code is None else _blot(code, known)[:MAX_CODE],
    )


def _blot(text: str, secrets: tuple[str, ...]) -> str:
    return _WORD.sub(lambda word: "[redacted]" if _leaks(word[0], secrets) else word[0], text)


_WORD = re.compile(r"[\w\-.~+/=*]{8,}")


def _leaks(word: str, secrets: tuple[str, ...]) -> bool:
    pieces = (word[i : i + _SHARED] for i in range(len(word) - _SHARED + 1))
    return any(piece in secret for piece in pieces for secret in secrets)
