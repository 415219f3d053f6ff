"""What vendors and the server hand to each other: plain values, no I/O."""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import blake2b
from typing import Any, Literal, NamedTuple, Protocol, cast

import msgspec

Headers = list[tuple[bytes, bytes]]
Json = dict[str, Any]
Operation = Literal[
    "chat",
    "responses",
    "stored",  # something about a response that was made before
    "embeddings",
    "count_tokens",
    "files",
    "batches",
    "models",
    "health",
    "token",
    "unknown",
]


class Request(NamedTuple):
    """One HTTP request; `path` begins after the vendor's prefix, header names are lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


class Target(NamedTuple):
    """What a call is aimed at: faults, limits and statistics are kept per target."""

    vendor: str
    region: str | None = None
    deployment: str | None = None
    model: str | None = None

    @property
    def name(self) -> str:
        """`anthropic/claude-opus-4-6`, `azure-openai/uksouth/gpt-5-2`."""
        return "/".join(part for part in (self.vendor, self.region, self.deployment or self.model) if part)


@dataclass(frozen=True, slots=True)
class Call:
    """A request as its vendor understands it, before it is judged."""

    request: Request
    target: Target
    operation: Operation
    payload: Json | None
    """The JSON body; None when it is not a JSON object."""
    streaming: bool = False


class Allowance(NamedTuple):
    """What is left of the rate limits, as the vendor's headers tell it."""

    limit_requests: int
    remaining_requests: int
    limit_tokens: int
    remaining_tokens: int
    reset_seconds: float


@dataclass(frozen=True, slots=True)
class Ticket:
    """What makes one call different from the same call made again: its number, its time, its limits."""

    number: int
    wall: float
    allowance: Allowance
    digest: bytes
    """Digest of the request body."""

    def token(self, length: int, purpose: str = "") -> str:
        """Return letters and digits for an id: the same for the same input, call number and purpose."""
        seed = b"%b/%d/%b" % (self.digest, self.number, purpose.encode())
        digest = blake2b(seed, digest_size=48).digest()
        return b64encode(digest, b"Zz").decode()[:length]

    def hex(self, length: int, purpose: str = "") -> str:
        """Like `token`, in hexadecimal (at most 64 digits)."""
        return blake2b(b"%b/%d/%b" % (self.digest, self.number, purpose.encode()), digest_size=32).hexdigest()[:length]

    def uuid(self, purpose: str = "") -> str:
        digits = self.hex(32, purpose)
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


@dataclass(frozen=True, slots=True)
class Problem:
    """A refusal in the vendor's own words; the vendor renders it into its own error body."""

    status: int
    message: str
    type: str | None = None
    code: str | int | None = None
    param: str | None = None
    more: Json = field(default_factory=dict[str, Any])
    """Further members of the error object."""
    retry_after: float | None = None


class Usage(NamedTuple):
    input_tokens: int = 0
    output_tokens: int = 0


NOTHING_USED = Usage()


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer; the server adds content-length."""

    status: int
    headers: Headers
    body: bytes
    usage: Usage = NOTHING_USED


class FrameKind(IntEnum):
    """What a piece of a stream means, so that a fault knows where to strike."""

    FRAMING = 0
    """Around the content: message_start, the role chunk, Azure's prompt filter results, starts and ends of blocks."""
    CONTENT = 1
    FINISH = 2
    """Carries the finish reason."""
    CLOSING = 3
    """After the finish reason, before the terminator: the usage chunk."""
    END = 4
    """The terminator: `[DONE]`, message_stop."""


class Frame(NamedTuple):
    kind: FrameKind
    data: bytes
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer in frames, each a complete server-sent event."""

    headers: Headers
    frames: Iterable[Frame]
    usage: Usage = NOTHING_USED


@dataclass(frozen=True, slots=True)
class Whole:
    """A good answer before its vendor has put headers on it."""

    body: bytes
    usage: Usage = NOTHING_USED
    content_type: bytes = b"application/json"


@dataclass(frozen=True, slots=True)
class Streamed:
    """A good answer in frames, before its vendor has put headers on it."""

    frames: Iterable[Frame]
    usage: Usage = NOTHING_USED


Outcome = Problem | Whole | Streamed
"""What a dialect has to say to a call."""

FailureKind = Literal["status", "rate_limit", "auth", "quota"]


@dataclass(frozen=True, slots=True)
class Failure:
    """What an injected fault wants the vendor to say."""

    kind: FailureKind
    status: int
    code: str | None = None
    message: str | None = None
    retry_after: float | None = None


class Vendor(Protocol):
    """One vendor's wire format: bytes and numbers in, bytes out; no I/O, no clock.

    A vendor may remember what it has made (files, batches, stored responses, cached prompts), for as long as a
    simulation lasts.
    """

    @property
    def name(self) -> str: ...

    def read(self, request: Request) -> Call:
        """Tell what is being called. Never fails: what cannot be understood has operation `unknown`."""
        ...

    def respond(self, call: Call, ticket: Ticket) -> Reply | Stream:
        """Check the credential and the request as the vendor does, and answer."""
        ...

    def problem(self, failure: Failure, call: Call, /) -> Problem:
        """Say what this vendor says in that situation."""
        ...

    def render(self, problem: Problem, call: Call, ticket: Ticket, /) -> Reply:
        """Put a problem into this vendor's error body and headers."""
        ...

    def interrupt(self, problem: Problem, call: Call, ticket: Ticket, sent: int, /) -> list[Frame]:
        """Tell of a problem in mid-stream, after HTTP 200 and `sent` frames."""
        ...


encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def json_object(body: bytes) -> Json | None:
    """Return the JSON object in `body`, or None."""
    try:
        value = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return cast("Json", value) if isinstance(value, dict) else None


def bearer(request: Request) -> str | None:
    """Return the bearer credential, or None."""
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    return credential.strip() or None if scheme.lower() == "bearer" else None


def revoked(credential: str) -> bool:
    """Any credential is good, except one that says of itself that it is not."""
    return "invalid" in credential.lower()


def members(value: object) -> Json:
    """Return `value` if it is an object, else an empty one: for optional nested members."""
    return cast("Json", value) if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    """Return `value` if it is an array, else an empty one."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def ascii_header(name: str, value: object) -> tuple[bytes, bytes]:
    return name.encode(), str(value).encode("latin-1", "replace")
