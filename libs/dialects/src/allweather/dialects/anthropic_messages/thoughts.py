"""Which thoughts the caller of Messages is shown: those who ask for none get none, as from Anthropic itself.

Other vendors think and sign without being asked, and code written for this API reads the first block as text. What a
tool call is signed with stays: without it the vendor would not take the call back.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from allweather.contracts.answers import Answer, Event, Thought
from allweather.contracts.conversation import Json, Reasoning
from allweather.dialects.anthropic_messages.rendering import Events


class _Asked(msgspec.Struct):
    thinking: Json | None = None


_asked: Final = msgspec.json.Decoder(_Asked)


def are_asked_for(request: bytes) -> bool:
    """Whether the body of a request, which has been read before, has thinking on."""
    if b'"thinking"' not in request:
        return False
    thinking = _asked.decode(request).thinking
    return thinking is not None and thinking.get("type") != "disabled"


def without(answer: Answer) -> Answer:
    """The answer for a caller who asked for no thoughts."""
    choice = answer.choices[0]
    kept = tuple(part for part in choice.parts if not isinstance(part, Reasoning) or _signs_call(part))
    return msgspec.structs.replace(answer, choices=(msgspec.structs.replace(choice, parts=kept),))


class Unspoken:
    """The stream for a caller who asked for no thoughts."""

    def __init__(self) -> None:
        self._events = Events()

    def payloads(self, event: Event) -> Iterator[str]:
        if not isinstance(event, Thought) or _signs_call(event):
            yield from self._events.payloads(event)

    def end(self) -> Iterator[str]:
        return self._events.end()


def _signs_call(thought: Reasoning | Thought) -> bool:
    return bool(thought.token and thought.id)
