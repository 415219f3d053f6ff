"""What a conversation of the set is: what the caller asks, step by step, and what has to come of each step.

The words in double brackets are cues to the simulated models (libs/vendorsim/README.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from allweather.contracts.answers import Choice
from allweather.contracts.conversation import (
    Conversation,
    Document,
    Finish,
    Image,
    Json,
    Part,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)

Told = Text | Image | Document | ToolResult
"""What a caller adds. A result of a tool is without the id of its call: the caller has it from the reply."""


@dataclass(frozen=True, slots=True)
class Step:
    """What the caller adds to the conversation, and the choices that the answer to it has."""

    told: tuple[Told, ...]
    answer: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class Script:
    """One conversation: what is asked for in each request, and the steps."""

    name: str
    asking: Conversation
    """Without turns."""
    steps: tuple[Step, ...]
    elsewhere: Mapping[str, str] = field(default_factory=dict[str, str])
    """Vendors whose answer is another one by their nature, and why."""


def script(name: str, *steps: Step, elsewhere: Mapping[str, str] | None = None, **asking: Any) -> Script:
    """A conversation; further arguments are fields of `Conversation`."""
    return Script(name, Conversation(model="triage", turns=(), **asking), steps, elsewhere or {})


def ask(told: str | tuple[Told, ...], *answer: Choice) -> Step:
    """The user says something, and is answered."""
    return Step((Text(told),) if isinstance(told, str) else told, answer)


def found(*results: str | ToolResult) -> tuple[ToolResult, ...]:
    """What the tools have found, in the order in which they were called."""
    return tuple(result if isinstance(result, ToolResult) else ToolResult("", (Text(result),)) for result in results)


def failed(text: str) -> ToolResult:
    """A tool that could not do it."""
    return ToolResult("", (Text(text),), is_error=True)


def says(text: str) -> Choice:
    """The model says this and is done."""
    return Choice((Text(text),), Finish.STOP)


def cut(text: str = "") -> Choice:
    """The limit is reached after these words."""
    return Choice((Text(text),) if text else (), Finish.LENGTH)


def declines(text: str = "") -> Choice:
    """The model or a filter withholds the answer, or the rest of it."""
    return Choice((Text(text),) if text else (), Finish.FILTERED_OUTPUT)


def calls(*wanted: tuple[str, Json], text: str = "") -> Choice:
    """The model calls these tools, maybe after some words."""
    said: list[Part] = [Text(text)] if text else []
    numbered = enumerate(wanted)
    made = [ToolCall(str(number), name, written(arguments)) for number, (name, arguments) in numbered]
    return Choice((*said, *made), Finish.TOOL_CALLS)


def written(arguments: Json) -> str:
    """Arguments in the one form in which they are compared."""
    return msgspec.json.encode(arguments, order="sorted").decode()


def tool(name: str, **properties: Json) -> Tool:
    """A tool with these arguments, all of them required."""
    schema = {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}
    return Tool(name, f"Does what {name} says.", schema)
