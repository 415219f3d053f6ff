"""One module for each wire format that callers speak: what a body asks for, or what is wrong with it. Pure."""

from collections.abc import Callable, Mapping
from typing import Final

from allweather.contracts.slip import Dialect
from allweather.policy.dialects import openai_chat
from allweather.policy.dialects.asked import Asked

READERS: Final[Mapping[Dialect, Callable[[bytes], Asked]]] = {Dialect.OPENAI_CHAT: openai_chat.read}
"""Reads a body. Raises `Invalid`."""
