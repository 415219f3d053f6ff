"""What may be wrong with a Messages body of the right shape."""

from collections.abc import Mapping
from typing import Final

import msgspec

from allweather.dialects.anthropic_messages.shape import Block, Body, Message
from allweather.dialects.invalid import Invalid, check_model, check_positive, check_range, missing, unsupported

ROLES: Final = ("user", "assistant", "system")
TOOL_CHOICES: Final = ("auto", "any", "tool", "none")
THINKING: Final = ("enabled", "adaptive", "disabled", "between_tools")
SOURCES: Final = ("base64", "url", "text", "file", "content")
LEAST_BUDGET: Final = 1024
NOTHING: Final = msgspec.Raw(b"")

REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "text": ("text",),
    "image": ("source",),
    "document": ("source",),
    "tool_use": ("id", "name", "input"),
    "tool_result": ("tool_use_id",),
    "thinking": ("thinking", "signature"),
    "redacted_thinking": ("data",),
}
"""What a block of a type needs; blocks of other types are the vendor's own."""


def check(body: Body) -> None:
    """Raise `Invalid` for the first thing that has the right type and the wrong value."""
    check_model(body.model)
    if not body.messages:
        raise Invalid("empty_array", "Invalid 'messages': expected at least one message.", "messages")
    for index, message in enumerate(body.messages):
        _check_message(message, f"messages[{index}]")
    if isinstance(body.system, list):
        _check_blocks(body.system, "system")
    check_positive("max_tokens", body.max_tokens)
    check_range("temperature", body.temperature, 1)
    check_range("top_p", body.top_p, 1)
    _check_tools(body)
    _check_thinking(body)


def _check_message(message: Message, at: str) -> None:
    if message.role not in ROLES:
        raise unsupported(f"{at}.role", message.role, ROLES)
    if isinstance(message.content, list):
        _check_blocks(message.content, f"{at}.content")


def _check_blocks(blocks: list[Block], at: str) -> None:
    for place, block in enumerate(blocks):
        for name in REQUIRED.get(block.type, ()):
            if getattr(block, name) in (None, NOTHING):
                raise missing(f"{at}[{place}].{name}")
        if block.source is not None and block.source.type not in SOURCES:
            raise unsupported(f"{at}[{place}].source.type", block.source.type, SOURCES)


def _check_tools(body: Body) -> None:
    for index, tool in enumerate(body.tools or ()):
        if tool.type in (None, "custom") and tool.input_schema is None:
            raise missing(f"tools[{index}].input_schema")
    choice = body.tool_choice
    if choice and choice.type not in TOOL_CHOICES:
        raise unsupported("tool_choice.type", choice.type, TOOL_CHOICES)
    if choice and choice.type == "tool" and not choice.name:
        raise missing("tool_choice.name")


def _check_thinking(body: Body) -> None:
    thinking = body.thinking
    if thinking is None:
        return
    if thinking.type not in THINKING:
        raise unsupported("thinking.type", thinking.type, THINKING)
    if thinking.type != "enabled":
        return
    if thinking.budget_tokens is None:
        raise missing("thinking.budget_tokens")
    if not LEAST_BUDGET <= thinking.budget_tokens < body.max_tokens:
        reason = f"'thinking.budget_tokens' is at least {LEAST_BUDGET} and less than 'max_tokens'."
        raise Invalid("invalid_value", reason, "thinking.budget_tokens")
