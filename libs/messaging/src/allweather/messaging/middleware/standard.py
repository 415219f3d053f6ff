"""The order in which the wrappers belong, said once."""

from collections.abc import Sequence

from opentelemetry.trace import Tracer

from allweather.messaging.metrics import Metrics
from allweather.messaging.middleware.dead_letter import OutcomeFor, dead_letter, no_outcome
from allweather.messaging.middleware.metered import metered
from allweather.messaging.middleware.retry import retry
from allweather.messaging.middleware.traced import traced
from allweather.messaging.types import Middleware


def standard(
    *, group: str, metrics: Metrics, tracer: Tracer, outcome_for: OutcomeFor = no_outcome
) -> Sequence[Middleware]:
    """What every consumer of the pipeline wears, outermost first.

    Dead letters lie outside of the retries, so that a dependency that is away never makes one; the clock is innermost,
    so that it shows the handler's own time and not that of its waits.
    """
    return (
        traced(group=group, tracer=tracer),
        dead_letter(group=group, outcome_for=outcome_for, metrics=metrics),
        retry(group=group, metrics=metrics),
        metered(group=group, metrics=metrics),
    )
