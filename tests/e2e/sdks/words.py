"""What the tests ask: messages, tools, pictures and forms. Double brackets tell the simulated models what to do."""

from typing import Any, Final, Literal

import openai
from pydantic import BaseModel, ConfigDict

LEAK: Final = "My espresso machine leaks. What should I do?"
SAY: Final = "[[say It is mended.]]"
ONE_CALL: Final = '[[tool get_weather {"city": "Oslo"}]]'
TWO_CALLS: Final = '[[tool get_weather {"city": "Oslo"}]] [[tool get_weather {"city": "Rome"}]]'
THINK: Final = "[[think 200]] [[say Forty-two.]]"
PIXEL: Final = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
PICTURE: Final = f"data:image/png;base64,{PIXEL}"
PICTURE_URL: Final = "https://pictures.example/machine.png"


class Ticket(BaseModel):
    """What a ticket is about."""

    model_config = ConfigDict(extra="forbid")

    category: str
    urgency: Literal["low", "normal", "high"]
    summary: str


class GetWeather(BaseModel):
    """The weather in a city."""

    city: str


SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
CHAT_TOOL: Final = openai.pydantic_function_tool(GetWeather, name="get_weather")
RESPONSES_TOOL: Final[Any] = {"type": "function", "name": "get_weather", "parameters": SCHEMA, "strict": True}
MESSAGES_TOOL: Final[Any] = {"name": "get_weather", "description": "The weather in a city.", "input_schema": SCHEMA}


def user(*parts: Any) -> Any:
    """The one message of a user."""
    return [{"role": "user", "content": parts[0] if isinstance(parts[0], str) else list(parts)}]
