"""Deterministic answers: what a model would plausibly say, derived from nothing but the conversation."""

from allweather.vendorsim.answers.compose import Answer, Ask, Finish, Tool, ToolCall, compose, pick_tool
from allweather.vendorsim.answers.tokens import estimate, pieces

__all__ = ["Answer", "Ask", "Finish", "Tool", "ToolCall", "compose", "estimate", "pick_tool", "pieces"]
