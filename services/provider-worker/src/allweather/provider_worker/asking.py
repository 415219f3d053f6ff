"""What a vendor is asked: in the caller's own words where it speaks them, else translated. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from allweather.contracts.embedding import EmbeddingRequest
from allweather.contracts.failures import FailureKind
from allweather.contracts.slip import Dialect
from allweather.dialects.invalid import Invalid
from allweather.dialects.openai_embeddings import reading as openai_embeddings
from allweather.dialects.registry import DIALECTS
from allweather.provider_worker import responses_wire
from allweather.provider_worker.passing import Forwarded, Passing, Translated
from allweather.provider_worker.wire import Embedder, Failed, Format, HttpRequest, Target, Translator, failed

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request without credentials, the form in which the vendor answers it, and how the answer is passed on."""

    request: HttpRequest
    format: Format
    passing: Passing


def ask(
    translator: Translator, target: Target, dialect: Dialect, body: bytes, *, stream: bool, include_usage: bool
) -> Asked:
    """The request for a caller's body. Raises `Failed` for what the vendor cannot be asked."""
    native = translator.natives.get(dialect)
    if native is not None:
        origin = responses_wire.origin(target) if dialect is Dialect.OPENAI_RESPONSES else None
        passing = Forwarded(dialect, body, include_usage=include_usage, origin=origin)
        return Asked(native.forward(body, target, stream=stream), native, passing)
    request = _translated(translator, target, dialect, body, stream=stream)
    return Asked(request, translator, Translated(dialect, body, include_usage=include_usage))


def _translated(translator: Translator, target: Target, dialect: Dialect, body: bytes, *, stream: bool) -> HttpRequest:
    conversation = _read(DIALECTS[dialect].read, body)
    lacking = translator.unsupported(conversation, target.deployment)
    if lacking is not None:
        raise _unsupported(lacking, target)
    return translator.request(conversation, target, stream=stream)


@dataclass(frozen=True, slots=True)
class AskedForVectors:
    """A request without credentials, what it asks for, and who reads the answer."""

    request: HttpRequest
    wish: EmbeddingRequest
    embedder: Embedder


def ask_for_vectors(translator: Translator, target: Target, body: bytes) -> AskedForVectors:
    """The request for a caller's body. Raises `Failed` for what the vendor cannot be asked."""
    wish, embedder = _read(openai_embeddings.read, body), translator.embedder
    if embedder is None:
        raise _unsupported("embeddings", target)
    lacking = embedder.unsupported(wish, target.deployment)
    if lacking is not None:
        raise _unsupported(lacking, target)
    return AskedForVectors(embedder.request(wish, body, target), wish, embedder)


def _read(read: Callable[[bytes], T], body: bytes) -> T:
    """What is in a body that policy has let through. Raises `Failed`."""
    try:
        return read(body)
    except Invalid as fault:
        raise failed(FailureKind.INVALID, fault.reason, code=fault.code) from None


def _unsupported(what: str, target: Target) -> Failed:
    reason = f"{target.deployment.id} cannot be asked for `{what}`."
    return failed(FailureKind.UNSUPPORTED, reason, code="unsupported_parameter")
