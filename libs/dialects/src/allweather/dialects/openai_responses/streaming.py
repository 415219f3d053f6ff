"""The events of an answer as those of a Responses stream, in OpenAI's order and numbered. There is no `[DONE]`."""

from collections.abc import Iterator

import msgspec

from allweather.contracts.answers import (
    Assembly,
    Begun,
    CallArguments,
    CallBegun,
    Event,
    Item,
    Refused,
    Said,
    Thought,
)
from allweather.contracts.conversation import Json, Opaque, Reasoning
from allweather.contracts.slip import Dialect
from allweather.dialects.in_order import InOrder
from allweather.dialects.openai_responses.items import Arguments, OpenItem, Thoughts, Whole, Words
from allweather.dialects.openai_responses.rendering import base, echo, end, response

encode = msgspec.json.encode


class Events:
    """Renders the events of one answer as the payloads of its stream; `type` is also the name of the event."""

    def __init__(self, request: bytes) -> None:
        self._order, self._assembly = InOrder(), Assembly()
        self._echo = echo(request)
        self._name, self._created, self._model = "", 0, ""
        self._sequence = -1
        self._items: list[Json] = []
        self._open: OpenItem | None = None
        self._refused = False

    def payloads(self, event: Event) -> Iterator[str]:
        """The events of the dialect that the event stands for, maybe none."""
        self._assembly.add(event)
        for next_one in self._order.take(event):
            yield from self._payloads(next_one)

    def end(self) -> Iterator[str]:
        """What comes after the last event: the whole response."""
        yield from self._close()
        if not self._assembly.finished:
            return
        answer = self._assembly.answer()
        ended = end(answer.choices[0].finish, answer.usage, refused=self._refused)
        whole = response(self._name, self._created, self._model, self._echo) | {"output": self._items} | ended
        yield self._say(f"response.{ended['status']}", response=whole)

    def _payloads(self, event: Event) -> Iterator[str]:
        match event:
            case Said(text=text):
                if text:
                    yield from self._piece(Words("output_text", "text"), text)
            case CallArguments(text=text):
                yield from self._more(text)
            case CallBegun(id=call, name=function):
                yield from self._begin(Arguments(call, function))
            case Thought():
                yield from self._thought(event)
            case Refused(text=text):
                self._refused = True
                yield from self._piece(Words("refusal", "refusal"), text)
            case Begun():
                yield from self._begun(event)
            case Item(opaque=Opaque(origin=origin, item=item)):
                if origin.api == Dialect.OPENAI_RESPONSES:
                    yield from self._begin(Whole(item))
            case _:  # the end and the counts stand in the last event, log probabilities only in OpenAI's own streams
                return

    def _begun(self, event: Begun) -> Iterator[str]:
        self._name, self._created, self._model = base(event.id), event.created, event.model
        begun = response(self._name, self._created, self._model, self._echo)
        yield self._say("response.created", response=begun)
        yield self._say("response.in_progress", response=begun)

    def _thought(self, thought: Thought) -> Iterator[str]:
        if thought.text:
            yield from self._piece(Thoughts(), thought.text)
        if not thought.token:
            return
        if not isinstance(self._open, Thoughts):
            yield from self._begin(Thoughts())
        if isinstance(self._open, Thoughts):
            self._open.token = Reasoning("", thought.token, thought.origin, thought.id)
        yield from self._close()

    def _piece(self, kind: "OpenItem", text: str) -> Iterator[str]:
        """A piece of an item of that kind, which begins unless it is being said."""
        if self._open is None or self._open.kind != kind.kind:
            yield from self._begin(kind)
        yield from self._more(text)

    def _begin(self, item: "OpenItem") -> Iterator[str]:
        yield from self._close()
        self._open = item
        item.name = f"{self._name}_{len(self._items)}"
        yield from self._places(item.begun())

    def _more(self, text: str) -> Iterator[str]:
        if self._open is not None:
            self._open.said.append(text)
            yield from self._places(self._open.more(text))

    def _close(self) -> Iterator[str]:
        item, self._open = self._open, None
        if item is not None:
            yield from self._places(item.ended())
            self._items.append(item.whole())

    def _places(self, events: Iterator[tuple[str, Json]]) -> Iterator[str]:
        for kind, fields in events:
            yield self._say(kind, output_index=len(self._items), **fields)

    def _say(self, kind: str, **fields: object) -> str:
        self._sequence += 1
        return encode({"type": kind, "sequence_number": self._sequence, **fields}).decode()
