"""Conditions of rules, in the Common Expression Language: compiled once, without side effects, bounded in time.

A condition sees the fields of a `Subject` by their names and nothing else.
"""

import re
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Final

# The package brings its command line along, and that a terminal toolkit: a third of the time in which policy starts.
sys.modules.setdefault("cel.cli", ModuleType("cel.cli"))

import cel  # noqa: E402 - only now, see above

MAX_LENGTH: Final = 4096
"""Characters of one condition: a longer one is a list that belongs into several rules."""

FUNCTIONS: Final = frozenset(
    {
        *("size", "contains", "startsWith", "endsWith", "matches", "has", "all", "exists", "exists_one"),
        *("map", "filter", "bool", "bytes", "double", "duration", "dyn", "int", "string", "timestamp", "type", "uint"),
    }
)
"""What a condition may call: the standard library of the language."""

_BOUND = re.compile(r"\.(?:all|exists|exists_one|map|filter)\(\s*([A-Za-z_]\w*)\s*,")
_POSITION = re.compile(r"<input>:(\d+):(\d+): (?:Syntax error: )?(.*)")


class InvalidCondition(ValueError):
    """The text is not a condition. `line` and `column` count from 1 within it."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


class ConditionFailed(Exception):
    """The condition has no answer for this subject; the message says why."""


class Facts:
    """The values that conditions see of one subject, converted once for all of them."""

    __slots__ = ("context",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.context = cel.Context(variables=dict(values))


class Condition:
    """One compiled condition."""

    __slots__ = ("_program", "names", "source")

    def __init__(self, source: str, known: frozenset[str]) -> None:
        """Compile `source`, which may name the variables in `known`. Raises `InvalidCondition`."""
        self.source = source
        self._program = _compiled(source)
        _check_names(self._program, source, known)
        self.names = known & set(self._program.variables())
        """The variables that it looks at."""

    def holds(self, facts: Facts) -> bool:
        """Whether it holds. Raises `ConditionFailed` when it cannot be evaluated or is no yes-or-no question."""
        try:
            answer = self._program.execute(facts.context)
        except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
            raise ConditionFailed(f"{type(error).__name__}: {error}") from error
        if answer is True or answer is False:
            return answer
        raise ConditionFailed(f"the answer is {answer!r}, neither true nor false")


def _compiled(source: str) -> cel.Program:
    if len(source) > MAX_LENGTH:
        raise InvalidCondition(f"longer than {MAX_LENGTH} characters")
    try:
        return cel.compile(source)
    except ValueError as error:
        raise _located(str(error)) from error


def _located(text: str) -> InvalidCondition:
    """The first syntax error in the compiler's message."""
    position = _POSITION.search(text)
    if position is None:
        return InvalidCondition(text)
    line, column, message = position.groups()
    return InvalidCondition(message, int(line), int(column))


def _check_names(program: cel.Program, source: str, known: frozenset[str]) -> None:
    bound = set(_BOUND.findall(source))
    for name in program.variables():
        if name not in known and name not in bound:
            raise _unknown("name", name, source, known)
    for name in program.functions():
        if name.isidentifier() and not name.startswith("_") and name not in FUNCTIONS:
            raise _unknown("function", name, source, FUNCTIONS)


def _unknown(kind: str, name: str, source: str, known: frozenset[str]) -> InvalidCondition:
    found = re.search(rf"\b{re.escape(name)}\b", source)
    before = source[: found.start()] if found else ""
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    return InvalidCondition(f"unknown {kind} {name!r}; known: {', '.join(sorted(known))}", line, column)
