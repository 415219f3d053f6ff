"""The dialects of conversations, one entry each: how a body is read and how its answer is written."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from allweather.contracts.answers import Answer, Event
from allweather.contracts.conversation import Conversation
from allweather.contracts.slip import Capability, Dialect, Parameter
from allweather.dialects.anthropic_messages import joining as messages_joining
from allweather.dialects.anthropic_messages import reading as messages_reading
from allweather.dialects.anthropic_messages import rendering as messages_rendering
from allweather.dialects.anthropic_messages import shape as messages_shape
from allweather.dialects.anthropic_messages import splitting as messages_splitting
from allweather.dialects.anthropic_messages import thoughts
from allweather.dialects.fields import Fate
from allweather.dialects.openai_chat import joining as chat_joining
from allweather.dialects.openai_chat import reading as chat_reading
from allweather.dialects.openai_chat import rendering as chat_rendering
from allweather.dialects.openai_chat import shape as chat_shape
from allweather.dialects.openai_chat import splitting as chat_splitting
from allweather.dialects.openai_responses import joining as responses_joining
from allweather.dialects.openai_responses import reading as responses_reading
from allweather.dialects.openai_responses import rendering as responses_rendering
from allweather.dialects.openai_responses import shape as responses_shape
from allweather.dialects.openai_responses import splitting as responses_splitting
from allweather.dialects.openai_responses import streaming as responses_streaming


class Stream(Protocol):
    """Writes the events of one answer as the payloads of server-sent events, without their framing."""

    def payloads(self, event: Event) -> Iterator[str]:
        """The payloads that the event stands for, maybe none."""
        ...

    def end(self) -> Iterator[str]:
        """What comes after the last event of an answer that is complete."""
        ...


class Joining(Protocol):
    """Puts the payloads of a stream together, whoever wrote them."""

    def add(self, payload: str) -> None:
        """Take in the next payload."""
        ...

    def whole(self) -> bytes:
        """The answer as it would have come without streaming."""
        ...


@dataclass(frozen=True, slots=True)
class Wire:
    """One dialect. Everything in it is pure."""

    read: Callable[[bytes], Conversation]
    """The conversation in a body. Raises `Invalid`, naming the field."""
    render: Callable[[Answer, bytes], bytes]
    """The answer to the body of a request."""
    stream: Callable[[bytes, bool], Stream]
    """Writes the answer to the body of a request; the flag asks for a usage chunk where that is the caller's choice."""
    join: Callable[[], Joining]
    split: Callable[[bytes, bool], Iterator[str]]
    """A whole answer as the payloads of a stream, its end included; the flag is that of `stream`."""
    fields: Mapping[str, Fate]
    names: Mapping[Capability | Parameter, str]
    """In which field the caller asks for what, where that is not its own name."""


def _message(answer: Answer, request: bytes) -> bytes:
    return messages_rendering.render(answer if thoughts.are_asked_for(request) else thoughts.without(answer))


DIALECTS: Final[Mapping[Dialect, Wire]] = {
    Dialect.OPENAI_CHAT: Wire(
        chat_reading.read,
        lambda answer, _: chat_rendering.render(answer),
        lambda _, include_usage: chat_rendering.Chunks(include_usage=include_usage),
        chat_joining.Joining,
        chat_splitting.payloads,
        chat_shape.FIELDS,
        chat_shape.NAMES,
    ),
    Dialect.OPENAI_RESPONSES: Wire(
        responses_reading.read,
        responses_rendering.render,
        lambda request, _: responses_streaming.Events(request),
        responses_joining.Joining,
        lambda answer, _: responses_splitting.payloads(answer),
        responses_shape.FIELDS,
        responses_shape.NAMES,
    ),
    Dialect.ANTHROPIC_MESSAGES: Wire(
        messages_reading.read,
        _message,
        lambda request, _: messages_rendering.Events() if thoughts.are_asked_for(request) else thoughts.Unspoken(),
        messages_joining.Joining,
        lambda answer, _: messages_splitting.payloads(answer),
        messages_shape.FIELDS,
        messages_shape.NAMES,
    ),
}
