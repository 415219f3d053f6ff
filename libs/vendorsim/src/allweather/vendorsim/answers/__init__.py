"""Deterministic answers: what a model would plausibly say, derived from nothing but the conversation."""

from allweather.vendorsim.answers.compose import Answer, Ask, Finish, Tool, ToolCall, compose, variants
from allweather.vendorsim.answers.tokens import estimate, pieces
from allweather.vendorsim.answers.transcript import Transcript, Turns

__all__ = [
    "Answer",
    "Ask",
    "Finish",
    "Tool",
    "ToolCall",
    "Transcript",
    "Turns",
    "compose",
    "estimate",
    "pieces",
    "variants",
]
