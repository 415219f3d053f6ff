"""What a vendor is asked: in the caller's own words where it speaks them, else translated. Pure."""

from dataclasses import dataclass

from allweather.contracts.failures import FailureKind
from allweather.contracts.slip import Dialect
from allweather.dialects.invalid import Invalid
from allweather.dialects.registry import DIALECTS
from allweather.provider_worker import responses_wire
from allweather.provider_worker.passing import Forwarded, Passing, Translated
from allweather.provider_worker.wire import Format, HttpRequest, Target, Translator, failed


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
    try:
        conversation = DIALECTS[dialect].read(body)
    except Invalid as fault:
        raise failed(FailureKind.INVALID, fault.reason, code=fault.code) from None
    lacking = translator.unsupported(conversation, target.deployment)
    if lacking is not None:
        reason = f"{target.deployment.id} cannot be asked for `{lacking}`."
        raise failed(FailureKind.UNSUPPORTED, reason, code="unsupported_parameter")
    return translator.request(conversation, target, stream=stream)
