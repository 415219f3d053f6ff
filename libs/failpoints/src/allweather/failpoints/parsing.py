"""The text form: `name=action[:seconds][@turn]`, joined by `;`."""

import re
from collections.abc import Iterator
from typing import cast, get_args

from allweather.failpoints.actions import TIMED, Action, Armed
from allweather.failpoints.names import GUARDS, POINTS

_FORM = re.compile(r"(?P<name>[^=]+)=(?P<action>[a-z]+)(:(?P<seconds>[0-9.]+))?(@(?P<turn>[1-9][0-9]*))?")


def parse(text: str) -> dict[str, Armed]:
    """The failpoints that `text` arms, by name.

    Raises ValueError with one line for each part that is not understood.
    """
    parts = [part.strip() for part in text.split(";") if part.strip()]
    problems = [problem for part in parts for problem in _problems(part)]
    if problems:
        raise ValueError("\n".join(problems))
    return {armed.name: armed for armed in map(_armed, parts)}


def _armed(part: str) -> Armed:
    form = _FORM.fullmatch(part)
    assert form is not None
    turn = form["turn"]
    return Armed(
        name=form["name"],
        action=cast(Action, form["action"]),
        seconds=float(form["seconds"] or 0),
        only_at=int(turn) if turn else None,
    )


def _problems(part: str) -> Iterator[str]:
    form = _FORM.fullmatch(part)
    if form is None:
        yield f"{part!r} is not of the form name=action[:seconds][@turn]"
        return
    name, action = form["name"], form["action"]
    if action not in get_args(Action):
        yield f"{part!r}: unknown action {action!r}; known: {', '.join(get_args(Action))}"
    elif name in GUARDS and action != "skip":
        yield f"{part!r}: {name} is a guard and can only be skipped"
    elif name in POINTS and action == "skip":
        yield f"{part!r}: {name} is a point and cannot be skipped"
    elif (action in TIMED) != (form["seconds"] is not None):
        yield f"{part!r}: seconds belong to {' and '.join(sorted(TIMED))}, and only to them"
    if name not in GUARDS | POINTS:
        yield f"{part!r}: unknown failpoint {name!r}; known: {', '.join(sorted(GUARDS | POINTS))}"
