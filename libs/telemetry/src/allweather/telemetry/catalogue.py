"""All instruments together, for the reference page and for checks."""

from typing import Any, cast

from allweather.telemetry import messaging, metrics
from allweather.telemetry.instruments import Instrument


def catalogue() -> tuple[Instrument[Any, Any], ...]:
    """Every metric of the system, in the order of definition."""
    values = [*vars(metrics).values(), *vars(messaging).values()]
    return tuple(cast("Instrument[Any, Any]", value) for value in values if isinstance(value, Instrument))


def reference() -> str:
    """The catalogue as a Markdown page."""
    rows = (
        f"| `{metric.name}{'_total' if metric.kind == 'counter' else ''}` | {metric.kind} "
        f"| {', '.join(f'`{label}`' for label in metric.labels)} | {metric.means} | {metric.when_high} |"
        for metric in catalogue()
    )
    return "\n".join(["| metric | kind | labels | meaning | when it is high |", "|---|---|---|---|---|", *rows, ""])
