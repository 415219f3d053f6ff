"""A conversation in no vendor's words, gathered while a request is read."""

from collections.abc import Sequence
from typing import NamedTuple

from allweather.vendorsim.answers.tokens import estimate


class Turns(NamedTuple):
    """What the answer depends on."""

    text: str
    """Every turn, with its role."""
    question: str
    """The last thing the user said."""
    step: int
    """How often the model has called tools since then."""
    results: Sequence[str]
    """What the tools have answered since then."""
    tokens: int


class Transcript:
    """Takes the turns of a request one after the other; `each` is what a turn costs besides its text."""

    def __init__(self, each: int) -> None:
        self._each = each
        self._lines: list[str] = []
        self._question = ""
        self._step = 0
        self._calling = False
        self._results: list[str] = []
        self._tokens = 0

    def said(self, role: str, text: str) -> None:
        """A turn begins, with this text (or none)."""
        self._lines.append(f"{role}: {text}")
        self._tokens += estimate(text) + self._each
        if role == "user" and text:
            self._question, self._step, self._calling, self._results = text, 0, False, []

    def called(self, name: str, arguments: str) -> None:
        """The model has called a tool; calls without a result between them are one step."""
        if not self._calling:
            self._step += 1
            self._calling = True
        self._lines.append(f"call: {name} {arguments}")
        self._tokens += estimate(name) + estimate(arguments) + self._each

    def answered(self, text: str, *, failed: bool = False) -> None:
        """A tool has answered."""
        self._calling = False
        self._results.append(f"it failed, {text}" if failed else text)
        self._lines.append(f"tool: {text}")
        self._tokens += estimate(text) + self._each

    def shown(self, tokens: int, what: str) -> None:
        """A picture or a document was shown; `what` tells it from others."""
        self._tokens += tokens
        self._lines.append(f"shown: {what}")

    def turns(self) -> Turns:
        return Turns("\n".join(self._lines), self._question, self._step, self._results, self._tokens)
