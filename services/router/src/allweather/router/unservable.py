"""Why no candidate can ever serve a request, as its caller is told: what is wrong, and who could. Pure."""

from dataclasses import dataclass

from allweather.contracts.config import Configuration
from allweather.contracts.errors import could
from allweather.contracts.failures import FailureKind, OutcomeKind
from allweather.contracts.slip import Slip
from allweather.router import routing


@dataclass(frozen=True, slots=True)
class Unservable:
    """The outcome of such a request, and what is said of it."""

    outcome: OutcomeKind
    reason: str
    code: str
    param: str | None = None


def explained(slip: Slip, reasons: frozenset[str], config: Configuration) -> Unservable:
    """The outcome for the reasons for which the candidates were left out, the most telling one first."""
    route = slip.route
    if routing.NO_ROUTE in reasons:
        return Unservable(
            OutcomeKind.INVALID, f"There is no route or model '{route}'.", "model_not_found", param="model"
        )
    if routing.CONTEXT in reasons:
        text = "The request is longer than the context window of every model that may answer it."
        return Unservable(OutcomeKind.TOO_LONG, text, "context_length_exceeded")
    if routing.PARAMETER in reasons:
        return _unsupported(slip, config)
    if routing.CAPABILITY in reasons:
        text = f"No model behind '{route}' that may answer this request can do what it asks for ({_asked(slip)})."
        return Unservable(OutcomeKind.INVALID, text, "unsupported_capability")
    text = f"No model behind '{route}' may process this request: its verdict permits other regions or vendors."
    return Unservable(OutcomeKind.DENIED, text, "no_permitted_deployment")


def _asked(slip: Slip) -> str:
    return ", ".join(capability.value for capability in slip.needs.capabilities) or slip.dialect.operation.value


def _unsupported(slip: Slip, config: Configuration) -> Unservable:
    """No permitted candidate can do what a field asks: names the field, and the deployments that could be asked."""
    field = _field(slip, config)
    said = next((a.message for a in reversed(slip.attempts) if a.failure is FailureKind.UNSUPPORTED and a.message), "")
    what = f"what '{field}' asks for" if field else "all that it asks for"
    text = f"No model behind '{slip.route}' that may answer this request can do {what}. {_who_could(slip, config)}"
    return Unservable(OutcomeKind.INVALID, f"{text} {said}".rstrip(), "unsupported_parameter", field)


def _field(slip: Slip, config: Configuration) -> str | None:
    """The caller's name of the first thing that a permitted candidate lacks."""
    candidates = [d for d in routing.candidates(slip, config) if routing.permitted(d, slip)]
    wishes = [wish for deployment in candidates for wish in routing.lacking(deployment, slip, config)]
    return slip.needs.parameters[wishes[0]] if wishes else None


def _who_could(slip: Slip, config: Configuration) -> str:
    """The deployments, of any route, that could serve it, as far as the catalogue says."""
    tried = frozenset(a.deployment for a in slip.attempts if a.failure is FailureKind.UNSUPPORTED)
    able = [
        d.id
        for d in config.deployments
        if d.id not in tried and routing.permitted(d, slip) and not routing.lacking(d, slip, config)
    ]
    return could(able)
