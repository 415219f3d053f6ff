"""How much a model should think: effort and budget say the same in the words of different vendors."""

from collections.abc import Sequence
from typing import Final

from allweather.contracts.conversation import Thinking

EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
BUDGETS: Final = {"minimal": 1_024, "low": 2_048, "medium": 8_192, "high": 24_576, "xhigh": 32_768, "max": 65_536}
"""Tokens to think for each effort."""
DEFAULT: Final = "medium"


def effort(thinking: Thinking, known: Sequence[str]) -> str:
    """The effort asked for, or the nearest of those that a model knows; the smaller one of two."""
    wanted = EFFORTS.index(_effort(thinking))
    return min(known, key=lambda name: (abs(EFFORTS.index(name) - wanted), EFFORTS.index(name)))


def budget(thinking: Thinking) -> int:
    """How many tokens may be thought."""
    return thinking.budget if thinking.budget is not None else BUDGETS[_effort(thinking)]


def _effort(thinking: Thinking) -> str:
    if thinking.effort:
        return thinking.effort if thinking.effort in EFFORTS else DEFAULT
    if thinking.budget is None:
        return DEFAULT
    enough = (name for name, tokens in BUDGETS.items() if tokens >= thinking.budget)
    return next(enough, EFFORTS[-1])
