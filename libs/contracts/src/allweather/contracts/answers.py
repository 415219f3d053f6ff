"""An answer in canonical form, whole or as the events of a stream, which put together are the whole again."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

import msgspec

from allweather.contracts.conversation import Finish, Json, Opaque, Origin, Part, Reasoning, Refusal, Text, ToolCall
from allweather.contracts.slip import Usage


class Choice(msgspec.Struct, frozen=True):
    """One answer of those that were asked for. Neighbouring texts are one part."""

    parts: tuple[Part, ...]
    finish: Finish
    stop: str | None = None
    """Which stop sequence ended it, where the vendor says so."""
    logprobs: tuple[Json, ...] | None = None
    """As OpenAI writes them."""


class Answer(msgspec.Struct, frozen=True):
    """What a model said. A refusal is an answer too."""

    id: str
    model: str
    """The model that answered, in the vendor's words."""
    choices: tuple[Choice, ...]
    usage: Usage | None = None
    created: int = 0
    """Seconds since the epoch."""

    @property
    def finish(self) -> Finish:
        """Why it ended; a refusal in any choice makes it one."""
        reasons = [choice.finish for choice in self.choices]
        return next((reason for reason in reasons if reason.is_refusal), reasons[0])


class Begun(msgspec.Struct, frozen=True):
    """The first event. What it does not know yet is empty."""

    id: str
    model: str
    created: int = 0
    usage: Usage | None = None
    """What is known of the counts already."""


class Said(msgspec.Struct, frozen=True):
    """A piece of text."""

    text: str
    choice: int = 0


class Refused(msgspec.Struct, frozen=True):
    """A piece of a refusal."""

    text: str
    choice: int = 0
    category: str = ""


class Thought(msgspec.Struct, frozen=True):
    """A piece of reasoning. One with a token ends this thought; the next one is another."""

    text: str = ""
    token: str = ""
    origin: Origin | None = None
    id: str = ""
    choice: int = 0


class CallBegun(msgspec.Struct, frozen=True):
    """A tool call begins; its arguments follow under its number."""

    number: int
    id: str
    name: str
    choice: int = 0


class CallArguments(msgspec.Struct, frozen=True):
    """A piece of the arguments of a call."""

    number: int
    text: str
    choice: int = 0


class Item(msgspec.Struct, frozen=True):
    """An opaque item, whole."""

    opaque: Opaque
    choice: int = 0


class Weighed(msgspec.Struct, frozen=True):
    """Log probabilities of what has just been said."""

    logprobs: tuple[Json, ...]
    choice: int = 0


class Finished(msgspec.Struct, frozen=True):
    """A choice is complete."""

    finish: Finish
    stop: str | None = None
    choice: int = 0


class Counted(msgspec.Struct, frozen=True):
    """The counts so far, which replace earlier ones."""

    usage: Usage


Event: TypeAlias = Begun | Said | Refused | Thought | CallBegun | CallArguments | Item | Weighed | Finished | Counted

SHOWN: Final = (Said, Refused, Thought, CallBegun, CallArguments, Item)
"""Events that show the caller something."""


class Unfinished(Exception):
    """The stream ended before every choice had its finish reason: what was cut is not an answer."""


class Assembly:
    """Puts the events of one stream together, in which so many choices were asked for."""

    def __init__(self, choices: int = 1) -> None:
        self._wanted = choices
        self._id, self._model, self._created = "", "", 0
        self._usage: Usage | None = None
        self._choices: dict[int, _Growing] = {}

    @property
    def finished(self) -> bool:
        """Whether every choice seen has its finish reason; then only counts and a terminator can be missing."""
        found = self._choices.values()
        return len(found) >= self._wanted and all(choice.finish for choice in found)

    def close(self) -> None:
        """Nothing more will come: the choices that there are, at least one, are all."""
        self._wanted = 1

    def add(self, event: Event) -> None:
        """Take in the next event."""
        if isinstance(event, Begun):
            self._id, self._model = event.id or self._id, event.model or self._model
            self._created = event.created or self._created
            self._usage = event.usage or self._usage
        elif isinstance(event, Counted):
            self._usage = event.usage
        else:
            choice = self._choices.get(event.choice)
            if choice is None:
                choice = self._choices[event.choice] = _Growing()
            choice.add(event)

    def answer(self) -> Answer:
        """The whole answer. Raises `Unfinished`."""
        if not self.finished:
            raise Unfinished
        choices = tuple(self._choices[index].choice() for index in sorted(self._choices))
        return Answer(self._id, self._model, choices, self._usage, self._created)


def assembled(events: Iterable[Event]) -> Answer:
    """The answer that the events are. Raises `Unfinished`."""
    assembly = Assembly()
    for event in events:
        assembly.add(event)
    return assembly.answer()


def events_of(answer: Answer) -> Iterator[Event]:
    """The answer as a stream that says each part in one piece."""
    yield Begun(answer.id, answer.model, answer.created)
    for index, choice in enumerate(answer.choices):
        for number, part in enumerate(choice.parts):
            yield from _events_of_part(part, number, index)
        if choice.logprobs is not None:
            yield Weighed(choice.logprobs, index)
        yield Finished(choice.finish, choice.stop, index)
    if answer.usage is not None:
        yield Counted(answer.usage)


def _events_of_part(part: Part, number: int, choice: int) -> Iterator[Event]:
    match part:
        case Text(text=text):
            yield Said(text, choice)
        case Refusal(text=text, category=category):
            yield Refused(text, choice, category)
        case Reasoning(text=text, token=token, origin=origin, id=name):
            yield Thought(text, token, origin, name, choice)
        case ToolCall(id=name, name=function, arguments=arguments):
            yield CallBegun(number, name, function, choice)
            yield CallArguments(number, arguments, choice)
        case Opaque():
            yield Item(part, choice)
        case _:
            raise TypeError(f"a model does not answer with {type(part).__name__}")


class _Growing:
    """One choice while it is being said: finished parts, and makers of those that still grow."""

    def __init__(self) -> None:
        self.finish: Finish | None = None
        self._stop: str | None = None
        self._parts: list[_Open | Part] = []
        self._calls: dict[int, _Open] = {}
        self._logprobs: list[Json] | None = None

    def add(self, event: Event) -> None:
        match event:
            case Said(text=text):
                self._open(_text).pieces.append(text)
            case Thought():
                self._thought(event)
            case CallArguments(number=number, text=text):
                if number in self._calls:
                    self._calls[number].pieces.append(text)
            case CallBegun(number=number):
                self._begin_call(event, number)
            case Refused(text=text, category=category):
                self._open(_refusal).say(text, category=category)
            case Item(opaque=opaque):
                self._parts.append(opaque)
            case Weighed(logprobs=logprobs):
                self._logprobs = [*(self._logprobs or ()), *logprobs]
            case Finished(finish=finish, stop=stop):
                self.finish, self._stop = finish, stop or self._stop
            case _:
                raise TypeError(f"{type(event).__name__} is not of a choice")

    def choice(self) -> Choice:
        assert self.finish is not None, "only a finished choice is asked for"
        parts = tuple(part.made() if isinstance(part, _Open) else part for part in self._parts)
        logprobs = None if self._logprobs is None else tuple(self._logprobs)
        return Choice(tuple(part for part in parts if part != _EMPTY), self.finish, self._stop, logprobs)

    def _thought(self, thought: Thought) -> None:
        part = self._open(_reasoning)
        part.say(thought.text, token=thought.token, origin=thought.origin, id=thought.id)
        part.closed = bool(thought.token)

    def _begin_call(self, begun: CallBegun, number: int) -> None:
        part = self._calls[number] = _Open(_call)
        part.say("", id=begun.id, name=begun.name)
        self._parts.append(part)

    def _open(self, make: "_Make") -> "_Open":
        """The part that is being said, or a new one when the last is of another kind."""
        last = self._parts[-1] if self._parts else None
        if isinstance(last, _Open) and last.make is make and not last.closed:
            return last
        part = _Open(make)
        self._parts.append(part)
        return part


_EMPTY: Final = Text("")


class _Open:
    """A part that still grows."""

    __slots__ = ("closed", "make", "named", "pieces")

    def __init__(self, make: "_Make") -> None:
        self.make = make
        self.pieces: list[str] = []
        self.named: Json = {}
        self.closed = False

    def say(self, text: str, **named: object) -> None:
        self.pieces.append(text)
        self.named |= {name: value for name, value in named.items() if value}

    def made(self) -> Part:
        return self.make("".join(self.pieces), self.named)


_Make: TypeAlias = Callable[[str, Json], Part]


def _text(said: str, _named: Json) -> Part:
    return Text(said)


def _refusal(said: str, named: Json) -> Part:
    return Refusal(said, **named)


def _reasoning(said: str, named: Json) -> Part:
    return Reasoning(said, **named)


def _call(said: str, named: Json) -> Part:
    return ToolCall(named.get("id", ""), named.get("name", ""), said)
