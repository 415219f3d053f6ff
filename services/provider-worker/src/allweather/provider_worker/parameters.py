"""What becomes of everything that a conversation can hold: one table for each vendor, and nothing is lost unsaid.

The tables are data: the router's configuration is held against them, and the support matrix is made of them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from allweather.contracts.config import Deployment
from allweather.contracts.conversation import Conversation
from allweather.contracts.slip import Parameter
from allweather.dialects.needs import parameters


class What(StrEnum):
    TRANSLATED = "translated"
    """Said in the vendor's words."""
    EMULATED = "emulated"
    """The vendor has no word for it; the same is had in another way."""
    HINT = "hint"
    """Best effort by definition: the answer is right without it."""
    NATIVE = "native"
    """Only callers who speak the vendor's own dialect can say it; from others it is refused."""
    REFUSED = "refused"
    """Another vendor has to be asked."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one thing that a conversation holds, and how."""

    what: What
    how: str = ""


TRANSLATED: Final = Fate(What.TRANSLATED)
NATIVE: Final = Fate(What.NATIVE)
REFUSED: Final = Fate(What.REFUSED)


def emulated(how: str) -> Fate:
    """Had in another way."""
    return Fate(What.EMULATED, how)


def hint(how: str) -> Fate:
    """Left out, or less than asked for."""
    return Fate(What.HINT, how)


ONE_CALL: Final = emulated("calls after the first are left out of the answer")

BASE: Final[Mapping[str, Fate]] = {
    **dict.fromkeys(
        (
            *("model", "turns", "instructions", "tools", "tool_choice", "format", "thinking"),
            *("max_output_tokens", "stream", "stops"),
        ),
        TRANSLATED,
    ),
    "include_usage": emulated("every stream is asked for its counts; the dialect of the caller shows them or not"),
    "parallel_tools": hint("at most one call is a need of its own; more than one is what models do anyway"),
    "seed": hint("left out: best effort by OpenAI's own definition"),
    "user": hint("left out: for the vendor's own books"),
    "others": REFUSED,
    **dict.fromkeys(Parameter, REFUSED),
}
"""The rows of a vendor that can do little; a vendor's table overrides what it can do better."""

UNSAYABLE: Final = frozenset({What.REFUSED, What.NATIVE})


def check(conversation: Conversation, deployment: Deployment, table: Mapping[str, Fate]) -> Parameter | None:
    """The first thing that the conversation asks for and that cannot be translated for the deployment."""
    return unsayable(parameters(conversation), deployment, table)


def unsayable(wishes: Iterable[Parameter], deployment: Deployment, table: Mapping[str, Fate]) -> Parameter | None:
    """The first of the wishes that cannot be translated for the deployment."""
    found = ((wish, table.get(wish, REFUSED)) for wish in wishes)
    return next((wish for wish, fate in found if fate.what in UNSAYABLE or wish in deployment.refuses), None)


def declared(table: Mapping[str, Fate]) -> frozenset[Parameter]:
    """What the vendor's entry in the catalogue has to declare."""
    return frozenset(parameter for parameter in Parameter if table[parameter].what is not What.REFUSED)
