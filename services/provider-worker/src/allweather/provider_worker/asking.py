"""What a vendor is asked: in the caller's own words where it speaks them, else translated. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from allweather.contracts.embedding import EmbeddingRequest
from allweather.contracts.failures import FailureKind
from allweather.contracts.slip import Dialect
from allweather.dialects.invalid import Invalid
from allweather.dialects.lenient import count, parse_object
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
    choices: int = 1
    """How many answers are asked for: a stream may bring them one after the other."""


def ask(
    translator: Translator, target: Target, dialect: Dialect, body: bytes, *, stream: bool, include_usage: bool
) -> Asked:
    """The request for a caller's body. Raises `Failed` for what the vendor cannot be asked."""
    native = translator.natives.get(dialect)
    if native is not None:
        origin = responses_wire.origin(target) if dialect is Dialect.OPENAI_RESPONSES else None
        passing = Forwarded(dialect, body, include_usage=include_usage, origin=origin)
        return Asked(native.forward(body, target, stream=stream), native, passing, _choices(dialect, body))
    conversation = _read(DIALECTS[dialect].read, body)
    lacking = translator.unsupported(conversation, target.deployment)
    if lacking is not None:
        raise _unsupported(lacking, target)
    request = translator.request(conversation, target, stream=stream)
    return Asked(request, translator, Translated(dialect, body, include_usage=include_usage), conversation.choices)


def _choices(dialect: Dialect, body: bytes) -> int:
    """How many answers a body that is passed on asks for. Only one dialect can ask for more than one."""
    if dialect is not Dialect.OPENAI_CHAT or b'"n"' not in body:
        return 1
    return max(1, count(parse_object(body) or {}, "n"))


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
