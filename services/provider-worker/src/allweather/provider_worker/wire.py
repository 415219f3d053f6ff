"""What passes between a translator, which knows one vendor's wire format, and the call, which does the I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

import msgspec

from allweather.contracts.answers import Answer, Event
from allweather.contracts.config import Deployment
from allweather.contracts.conversation import Conversation
from allweather.contracts.embedding import EmbeddingRequest, Vectors
from allweather.contracts.failures import FailureKind
from allweather.contracts.slip import Capability, Dialect
from allweather.provider_worker.parameters import Fate
from allweather.provider_worker.rates import RateHeaders

A = TypeVar("A", Answer, Vectors)


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


class HttpResponse(msgspec.Struct, frozen=True):
    """A response read to its end; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    received_at_ms: int = 0


class ServerSentEvent(msgspec.Struct, frozen=True):
    data: str
    name: str = ""


class Answered(msgspec.Struct, Generic[A], frozen=True):
    """A vendor's answer, rendered for the caller. A refusal is an answer too."""

    answer: A
    rendered: bytes
    """In the caller's dialect, complete JSON."""

    @property
    def refused(self) -> bool:
        """Whether a content filter or the model's safety training withheld the answer."""
        return self.answer.finish.is_refusal


AnyAnswered: TypeAlias = Answered[Answer] | Answered[Vectors]


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
    aside: bool
    """Whether the event just read is between the vendor and us (a ping, a terminator): never passed on."""

    def read(self, event: ServerSentEvent) -> Sequence[Event]:
        """What the event says, maybe nothing. Raises `Failed` when it says that the answer failed."""
        ...


class Format(Protocol):
    """How a vendor answers. Pure: no I/O, no clock, no state between calls."""

    def answer(self, response: HttpResponse) -> Answer:
        """The answer in a complete response of any status. Raises `Failed` when there is none in it."""
        ...

    def stream(self, received_at_ms: int) -> StreamReader:
        """A reader for one streamed answer that began at that time."""
        ...


NOTHING_IN_HEADERS: Final[Mapping[str, str]] = {}


class Native(Format, Protocol):
    """A dialect that the vendor speaks itself: the caller's own words go there, and the vendor's own come back."""

    @property
    def api_headers(self) -> Mapping[str, str]:
        """What callers of the dialect say in headers (`version`, `betas`) -> the header in which it is heard."""
        ...

    def forward(self, body: bytes, target: Target, *, stream: bool) -> HttpRequest:
        """The caller's body with the vendor's name of the model, and asked to stream or not. Raises `Failed`."""
        ...


class Embedder(Protocol):
    """How a vendor makes vectors. Pure."""

    @property
    def passes_on(self) -> bool:
        """Whether the caller's own words go there, so that even what we do not know can be asked."""
        ...

    def unsupported(self, asked: EmbeddingRequest, deployment: Deployment) -> str | None:
        """What of it the deployment cannot be asked, None when it can be asked all of it."""
        ...

    def request(self, asked: EmbeddingRequest, body: bytes, target: Target) -> HttpRequest:
        """What is asked, nothing of it unsupported; in the words of the caller's `body` where the vendor has them."""
        ...

    def answer(self, asked: EmbeddingRequest, target: Target, response: HttpResponse) -> Answered[Vectors]:
        """The vectors in a complete response of any status. Raises `Failed` when there is not one for each input."""
        ...


class Translator(Format, Protocol):
    """One vendor's wire format, for requests of dialects that it does not speak."""

    @property
    def natives(self) -> Mapping[Dialect, Native]:
        """The dialects that it does speak."""
        ...

    @property
    def embedder(self) -> Embedder | None:
        """How it makes vectors, None when it does not."""
        ...

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it can do; a deployment may declare no more."""
        ...

    @property
    def parameters(self) -> Mapping[str, Fate]:
        """What becomes of everything that a conversation can hold."""
        ...

    @property
    def rate_headers(self) -> RateHeaders | None:
        """Where the vendor says how much of its limits is left."""
        ...

    def authorization(self, secret: str) -> Mapping[str, str]:
        """The headers that carry the credential."""
        ...

    def unsupported(self, conversation: Conversation, deployment: Deployment) -> str | None:
        """What of the conversation the deployment cannot be asked, None when it can be asked all of it."""
        ...

    def request(self, conversation: Conversation, target: Target, *, stream: bool) -> HttpRequest:
        """The conversation, of which nothing is unsupported, in the vendor's form."""
        ...
