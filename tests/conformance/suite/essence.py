"""An answer without what may differ from vendor to vendor: names, numbers, thoughts, and how a refusal is worded."""

import msgspec

from allweather.contracts.answers import Answer, Choice
from allweather.contracts.conversation import Finish, Part, Reasoning, Text, ToolCall
from suite.script import written


def essence(answer: Answer) -> Answer:
    """The answer as it is compared: what is said and called, and why it ended."""
    return Answer("", "", tuple(map(_choice, answer.choices)))


def _choice(choice: Choice) -> Choice:
    finish = Finish.FILTERED_OUTPUT if choice.finish.is_refusal else choice.finish
    return Choice(spoken(choice.parts), finish)


def spoken(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """The words, and the calls by their number."""
    words = "".join(part.text for part in parts if isinstance(part, Text))
    made = [part for part in parts if isinstance(part, ToolCall)]
    calls = [ToolCall(str(number), each.name, _arguments(each)) for number, each in enumerate(made)]
    return (*([Text(words)] if words else []), *calls)


def unnamed(answer: Answer) -> Answer:
    """All of the answer but what is of this one call: ids, seals, the time, and what was in the vendor's cache."""
    usage = answer.usage and msgspec.structs.replace(answer.usage, cached_input_tokens=0, cache_write_tokens=0)
    choices = tuple(map(_unnamed, answer.choices))
    return msgspec.structs.replace(answer, id="", created=0, choices=choices, usage=usage)


def _unnamed(choice: Choice) -> Choice:
    return msgspec.structs.replace(choice, parts=tuple(map(_nameless, choice.parts)))


def _nameless(part: Part) -> Part:
    match part:
        case ToolCall(name=name, arguments=arguments):
            return ToolCall("", name, arguments)
        case Reasoning(text=text, token=token, origin=origin):
            return Reasoning(text, "sealed" if token else "", origin)
        case _:
            return part


def _arguments(call: ToolCall) -> str:
    return written(msgspec.json.decode(call.arguments))


def tokens(answer: Answer) -> list[str]:
    """What the vendor has sealed for itself to read."""
    parts = (part for choice in answer.choices for part in choice.parts)
    return [part.token for part in parts if isinstance(part, Reasoning) and part.token]


def tokens_of_calls(answer: Answer) -> list[str]:
    """Those of them without which a call would not be taken back."""
    parts = [part for choice in answer.choices for part in choice.parts]
    calls = {part.id for part in parts if isinstance(part, ToolCall)}
    return [part.token for part in parts if isinstance(part, Reasoning) and part.token and part.id in calls]


def says_anything(answer: Answer) -> bool:
    """Whether there is more in it than thoughts: others are not sent back."""
    return any(choice.parts for choice in essence(answer).choices)
