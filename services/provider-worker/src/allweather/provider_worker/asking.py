"""What a vendor is asked: in the caller's own words where it speaks them, else translated. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import msgspec

from allweather.contracts.conversation import Conversation
from allweather.contracts.embedding import EmbeddingRequest
from allweather.contracts.failures import FailureKind
from allweather.contracts.slip import ApiHeaders, Dialect, Parameter
from allweather.dialects.invalid import Invalid
from allweather.dialects.lenient import count, parse_object
from allweather.dialects.openai_embeddings import reading as openai_embeddings
from allweather.dialects.registry import DIALECTS
from allweather.provider_worker import responses_wire
from allweather.provider_worker.one_call import OneCall
from allweather.provider_worker.parameters import What
from allweather.provider_worker.passing import Forwarded, Passing, Translated
from allweather.provider_worker.wire import Embedder, Failed, Format, HttpRequest, Native, Target, Translator, failed

T = TypeVar("T")


class Asked(msgspec.Struct, frozen=True):
    """A request without credentials, the form in which the vendor answers it, and how the answer is passed on."""

    request: HttpRequest
    format: Format
    passing: Passing
    choices: int = 1
    """How many answers are asked for: a stream may bring them one after the other."""


def ask(
    translator: Translator,
    target: Target,
    dialect: Dialect,
    body: bytes,
    *,
    stream: bool,
    include_usage: bool,
    api: ApiHeaders | None = None,
) -> Asked:
    """The request for a caller's body. Raises `Failed` for what the vendor cannot be asked."""
    native = translator.natives.get(dialect)
    if native is not None and not _answer_is_trimmed(translator, body):
        origin = responses_wire.origin(target) if dialect is Dialect.OPENAI_RESPONSES else None
        passing = Forwarded(dialect, body, include_usage=include_usage, origin=origin)
        request = _heard(native.forward(body, target, stream=stream), native, api)
        return Asked(request, native, passing, _choices(dialect, body))
    conversation = _read(DIALECTS[dialect].read, body)
    request = _translated(translator, target, conversation, stream=stream)
    one_call = conversation.parallel_tools is False and _trims_calls(translator)
    spoken = OneCall(translator) if one_call else translator
    passing = Translated(dialect, body, include_usage=include_usage)
    return Asked(request, spoken, passing, conversation.choices)


def _heard(request: HttpRequest, native: Native, api: ApiHeaders | None) -> HttpRequest:
    """The request with what the caller says in headers, which counts more than the version in the catalogue."""
    if api is None:
        return request
    said = {"version": api.version, "betas": api.betas}
    heard = {name: value for what, name in native.api_headers.items() if (value := said[what])}
    return replace(request, headers={**request.headers, **heard})


class _Calls(msgspec.Struct):
    """How callers of a vendor's own dialect ask for at most one call."""

    parallel_tool_calls: Any = None


_calls: Final = msgspec.json.Decoder(_Calls)


def _answer_is_trimmed(translator: Translator, body: bytes) -> bool:
    """Whether something has to be done to the answer, so that the vendor's own bytes cannot be passed on."""
    asked = _trims_calls(translator) and b'"parallel_tool_calls"' in body
    return asked and _calls.decode(body).parallel_tool_calls is False


def _trims_calls(translator: Translator) -> bool:
    return translator.parameters[Parameter.SERIAL_TOOLS].what is What.EMULATED


def _translated(translator: Translator, target: Target, conversation: Conversation, *, stream: bool) -> HttpRequest:
    lacking = translator.unsupported(conversation, target.deployment)
    if lacking is not None:
        raise _unsupported(lacking, target)
    return translator.request(conversation, target, stream=stream)


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
