"""What callers of every dialect do alike."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from allweather.contracts.conversation import Conversation, HostedTool, Image, Json, Text, Tool, ToolResult
from allweather.contracts.slip import Dialect, Parameter
from allweather.dialects.needs import parameters
from suite.script import Step, Told

Reply = dict[str, Any]
"""What came back, in the caller's dialect."""
History = Sequence[Step | Reply]


@dataclass(frozen=True, slots=True)
class Caller:
    """Speaks one dialect."""

    dialect: Dialect
    without: frozenset[Parameter]
    """What the dialect has no word for."""
    body: Callable[[Conversation, History], Json]

    def can_say(self, asking: Conversation) -> bool:
        """Whether the dialect has a word for everything that is asked for."""
        return self.without.isdisjoint(parameters(asking))


def given(fields: Mapping[str, Any]) -> Json:
    return {name: value for name, value in fields.items() if value not in (None, "", (), [])}


def functions(asking: Conversation) -> Iterator[Tool]:
    return (tool for tool in asking.tools if not isinstance(tool, HostedTool))


def shared(asking: Conversation) -> Json:
    """What every dialect calls the same."""
    names = ("model", "temperature", "top_p")
    return given({name: getattr(asking, name) for name in names}) | ({"stream": True} if asking.stream else {})


def url_of(image: Image) -> str:
    return image.url or f"data:{image.media_type};base64,{image.data}"


def choice_of(mode: str, named: Json) -> str | Json:
    return named if mode == "named" else mode


def function(tool: Tool) -> Json:
    return {"name": tool.name} | given(
        {"description": tool.description, "parameters": tool.parameters, "strict": tool.strict}
    )


def words(result: ToolResult) -> Iterator[str]:
    return (part.text for part in result.parts if isinstance(part, Text))


def one_text(said: Sequence[Told]) -> str:
    return said[0].text if len(said) == 1 and isinstance(said[0], Text) else ""


def chat_format(asking: Conversation) -> Json:
    wanted = asking.format
    if wanted is None or wanted.schema is None:
        return {"type": "json_object"}
    schema = given({"description": wanted.description, "strict": wanted.strict})
    return {"type": "json_schema", "json_schema": {"name": wanted.name, "schema": wanted.schema, **schema}}
