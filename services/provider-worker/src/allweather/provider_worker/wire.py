"""What passes between a translator, which knows one vendor's wire format, and the call, which does the I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from allweather.contracts.config import Deployment
from allweather.contracts.failures import FailureKind
from allweather.contracts.slip import Capability, Usage
from allweather.dialects.lenient import Json
from allweather.provider_worker.rates import RateHeaders

Chunk: TypeAlias = Json
"""A `chat.completion.chunk`."""


@dataclass(frozen=True, slots=True)
class Target:
    """A deployment as it can be called: its address is complete, its credential is not part of it."""

    deployment: Deployment
    endpoint: str
    project: str | None = None
    """The Google Cloud project that is charged."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A POST of a JSON body."""

    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A response read to its end; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    received_at_ms: int = 0


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    data: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A vendor's answer, rendered for the caller. A refusal is an answer too."""

    rendered: bytes
    """A `chat.completion`, complete JSON."""
    finish_reason: str
    usage: Usage | None = None
    served_model: str | None = None

    @property
    def refused(self) -> bool:
        """Whether a content filter or the model's safety training withheld the answer."""
        return self.finish_reason == "content_filter"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no answer, in the router's terms."""

    kind: FailureKind
    message: str
    vendor_code: str | None = None
    retry_after_ms: int | None = None


class Failed(Exception):
    """The call did not end in an answer."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.kind}: {failure.message}")
        self.failure = failure


def failed(kind: FailureKind, message: str, *, code: str | None = None) -> Failed:
    """The exception for a failure that carries no hint when to try again."""
    return Failed(Failure(kind, message, code))


class StreamReader(Protocol):
    """Reads one streamed answer. Created for each call; keeps what it must remember between events."""

    ended: bool
    """Whether the vendor has said that nothing more will come."""

    def read(self, event: ServerSentEvent) -> Iterable[Chunk]:
        """The chunks that the event stands for, maybe none. Raises `Failed` when it says that the answer failed."""
        ...


class Translator(Protocol):
    """One vendor's wire format. Pure: no I/O, no clock, no state between calls."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it can express; a deployment may declare no more."""
        ...

    @property
    def rate_headers(self) -> RateHeaders | None:
        """Where the vendor says how much of its limits is left."""
        ...

    def authorization(self, secret: str) -> Mapping[str, str]:
        """The headers that carry the credential."""
        ...

    def request(self, body: Json, target: Target, *, stream: bool) -> HttpRequest:
        """The vendor's form of the caller's request.

        Raises `Failed` (invalid) for a parameter that the vendor cannot express: nothing is dropped without a word.
        """
        ...

    def answer(self, response: HttpResponse) -> Answer:
        """The answer in a complete response of any status. Raises `Failed` when there is none in it."""
        ...

    def stream(self, received_at_ms: int) -> StreamReader:
        """A reader for one streamed answer that began at that time."""
        ...
