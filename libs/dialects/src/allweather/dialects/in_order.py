"""Tool calls one after another, for dialects in which each is complete before the next one begins."""

from collections.abc import Iterator

from allweather.contracts.answers import Begun, CallArguments, CallBegun, Counted, Event


class InOrder:
    """Passes the first call of a row on as it comes, and holds the others: only what follows says it is complete."""

    def __init__(self) -> None:
        self._open: int | None = None
        self._held: list[CallBegun | CallArguments] = []

    def take(self, event: Event) -> Iterator[Event]:
        """What can be passed on now that the event has come."""
        if isinstance(event, CallBegun | CallArguments):
            if self._open is None or self._open == event.number:
                self._open = event.number
                yield event
            else:
                self._held.append(event)
            return
        if self._open is not None and not isinstance(event, Begun | Counted):
            yield from self._release()
        yield event

    def _release(self) -> Iterator[Event]:
        """The calls that were held, each as a whole."""
        held, self._held, self._open = self._held, [], None
        for number in dict.fromkeys(event.number for event in held):
            yield from (event for event in held if event.number == number)
