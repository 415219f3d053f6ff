"""Callers, one for each dialect: they write the bodies, keep the replies, and send the history along as SDKs do."""

from typing import Final

from allweather.contracts.slip import Dialect, Parameter
from suite.callers import chat, messages, responses
from suite.callers.caller import Caller

CALLERS: Final = (
    Caller(Dialect.OPENAI_CHAT, frozenset({Parameter.TOP_K}), chat.body),
    Caller(Dialect.OPENAI_RESPONSES, frozenset({Parameter.TOP_K, Parameter.STOP, Parameter.CHOICES}), responses.body),
    Caller(
        Dialect.ANTHROPIC_MESSAGES,
        frozenset({Parameter.CHOICES, Parameter.JSON_OBJECT, Parameter.HIGH_TEMPERATURE}),
        messages.body,
    ),
)
