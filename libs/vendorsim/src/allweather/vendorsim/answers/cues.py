"""What the user's words tell the model to do: `[[...]]`, read from the last thing that the user said.

`[[then]]` parts the turn into steps: what stands before it counts at once, what stands after it when the tools that
were called have answered. The README lists the cues.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from allweather.vendorsim.wire import Json


class WantedCall(NamedTuple):
    """A tool call that the user asks for; without a name the first tool, without arguments any that fit."""

    name: str | None = None
    arguments: Json | None = None


@dataclass(frozen=True, slots=True)
class Cues:
    """What one step of the model's turn is to be."""

    rest: str
    """The text without its cues."""
    marks: frozenset[str] = frozenset()
    """Cues that are a mere word: refuse, filter, long, fail, window, pause, malformed, redacted, offsets."""
    calls: tuple[WantedCall, ...] = ()
    say: str | None = None
    """The answer, word for word."""
    think: int | None = None
    """Tokens of reasoning."""


MARKS = frozenset(("refuse", "filter", "long", "fail", "window", "pause", "malformed", "redacted", "offsets"))
_BEGIN = re.compile(r"\[\[(\w+)\s*")
_NAME = re.compile(r"[\w.-]+")
_DIGITS = re.compile(r"\d+")
_JSON = json.JSONDecoder()


def read_cues(text: str, step: int = 0) -> Cues:
    """Read the cues of `text` that count in its step number `step`."""
    if "[[" not in text:
        return Cues(text)
    rest: list[str] = []
    steps: list[list[tuple[str, Any]]] = [[]]
    at = 0
    for begin, end, word, value in _cues(text):
        rest.append(text[at:begin])
        at = end
        if word == "then":
            steps.append([])
        else:
            steps[-1].append((word, value))
    return _gathered("".join(rest) + text[at:], steps[step] if step < len(steps) else [])


def _cues(text: str) -> Iterator[tuple[int, int, str, Any]]:
    """Yield where each cue begins and ends, its word and its value; what is not a cue stays text."""
    at = 0
    while (found := _BEGIN.search(text, at)) is not None:
        word = found[1]
        at, value = _value(text, word, found.end())
        if at < 0:
            at = found.end()
        elif text.startswith("]]", at):
            at += 2
            yield found.start(), at, word, value


def _value(text: str, word: str, at: int) -> tuple[int, Any]:
    """Return where the value of a cue ends, and the value; -1 when it is none."""
    if word == "say":
        end = text.find("]]", at)
        return end, text[at:end]
    if word == "tool":
        return _call(text, at)
    if word == "think":
        found = _DIGITS.match(text, at)
        return (found.end(), int(found[0])) if found else (at, 48)
    return (at if word == "then" or word in MARKS else -1), None


def _call(text: str, at: int) -> tuple[int, WantedCall]:
    name = _NAME.match(text, at)
    at = name.end() if name else at
    while text.startswith(" ", at):
        at += 1
    if not text.startswith("{", at):
        return at, WantedCall(name[0] if name else None)
    try:
        arguments, at = _JSON.raw_decode(text, at)
    except ValueError:
        return -1, WantedCall()
    return at, WantedCall(name[0] if name else None, arguments)


def _gathered(rest: str, found: list[tuple[str, Any]]) -> Cues:
    values = dict(found)
    calls = tuple(value for word, value in found if word == "tool")
    return Cues(rest.strip(), MARKS.intersection(values), calls, values.get("say"), values.get("think"))
