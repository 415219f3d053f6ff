"""At most one tool call in an answer, of vendors that cannot be told so: calls after the first are left out. Pure."""

from collections.abc import Sequence

import msgspec

from allweather.contracts.answers import Answer, CallArguments, CallBegun, Choice, Event, Thought
from allweather.contracts.conversation import Part, Reasoning, ToolCall
from allweather.provider_worker.wire import Format, HttpResponse, ServerSentEvent, StreamReader


class OneCall:
    """A vendor's form of answers, without all calls but the first of each choice."""

    def __init__(self, spoken: Format) -> None:
        self._spoken = spoken

    def answer(self, response: HttpResponse) -> Answer:
        answer = self._spoken.answer(response)
        return msgspec.structs.replace(answer, choices=tuple(map(_with_one_call, answer.choices)))

    def stream(self, received_at_ms: int) -> StreamReader:
        return _Reader(self._spoken.stream(received_at_ms))


def _with_one_call(choice: Choice) -> Choice:
    left_out = {part.id for part in _calls(choice)[1:]}
    return msgspec.structs.replace(choice, parts=tuple(part for part in choice.parts if not _is_of(part, left_out)))


def _calls(choice: Choice) -> list[ToolCall]:
    return [part for part in choice.parts if isinstance(part, ToolCall)]


def _is_of(part: Part, calls: set[str]) -> bool:
    """Whether the part is one of the calls, or what one is signed with."""
    return isinstance(part, ToolCall | Reasoning) and part.id in calls


class _Reader:
    def __init__(self, reader: StreamReader) -> None:
        self.ended = self.aside = False
        self._reader = reader
        self._first: dict[int, int] = {}
        """Choice -> the number of its first call."""

    def read(self, event: ServerSentEvent) -> Sequence[Event]:
        said = [each for each in self._reader.read(event) if self._keeps(each)]
        self.ended, self.aside = self._reader.ended, self._reader.aside
        return said

    def _keeps(self, said: Event) -> bool:
        match said:
            case CallBegun(number=number, choice=choice) | CallArguments(number=number, choice=choice):
                return self._first.setdefault(choice, number) == number
            case Thought(token=token, id=call, choice=choice) if token and call:
                return choice not in self._first
            case _:
                return True
