"""A vendor's answer as a whole, from the events that are in it."""

from collections.abc import Iterable

from allweather.contracts.answers import Answer, Event, Unfinished, assembled
from allweather.contracts.failures import FailureKind
from allweather.provider_worker.wire import Failed, failed


def complete(events: Iterable[Event]) -> Answer:
    """The answer that the events are. Raises `Failed` when it has no finish reason: what was cut is not an answer."""
    try:
        return assembled(events)
    except Unfinished:
        raise cut_off() from None


def cut_off() -> Failed:
    """The failure of an answer that has no finish reason."""
    return failed(FailureKind.UNAVAILABLE, "The answer ends without a finish reason.", code="no_finish_reason")
