"""The same conversations at every vendor that declares what they need, asked by callers of every dialect."""

import json
from collections.abc import Iterator
from itertools import permutations
from typing import Final

import pytest
from suite import doing, words
from suite.callers import CALLERS
from suite.callers.caller import Caller
from suite.essence import essence, says_anything, spoken, tokens, tokens_of_calls, unnamed
from suite.lanes import LANES, ONE_OF_EACH, Lane
from suite.playing import Exchange, joined, play
from suite.script import Script, Step

from allweather.contracts.answers import Answer
from allweather.contracts.conversation import Part, ToolResult
from allweather.contracts.slip import Dialect
from allweather.dialects.registry import DIALECTS

FAMILIES: Final = words.ALL | doing.ALL
SCRIPTS: Final = [script for family in FAMILIES.values() for script in family]
SAYABLE: Final = {
    f"{family}: {script.name}, {caller.dialect}": (script, caller)
    for family, scripts in FAMILIES.items()
    for script in scripts
    for caller in CALLERS
    if caller.can_say(script.asking)
}
"""Each conversation with each caller who has words for it."""
OF_MANY_TURNS: Final = {name: each for name, each in SAYABLE.items() if len(each[0].steps) > 1}


def lanes(script: Script, caller: Caller) -> list[Lane]:
    """Where the router would send every step of it."""
    told = tuple(part for step in script.steps for part in step.told if not isinstance(part, ToolResult))
    body = json.dumps(caller.body(script.asking, [Step(told, ())])).encode()
    return [lane for lane in LANES if lane.vendor not in script.elsewhere and lane.takes(caller.dialect, body)]


def wanted(script: Script) -> list[Answer]:
    return [Answer("", "", step.answer) for step in script.steps]


def test_there_are_sixty_and_each_can_be_had_from_more_than_one_vendor() -> None:
    reached: dict[str, set[str]] = {script.name: set() for script in SCRIPTS}
    for script, caller in SAYABLE.values():
        reached[script.name].update(lane.vendor for lane in lanes(script, caller))

    assert len(reached) == len(SCRIPTS) >= 60
    assert {name: vendors for name, vendors in reached.items() if len(vendors) < 2} == {}


@pytest.mark.parametrize(("script", "caller"), SAYABLE.values(), ids=SAYABLE)
async def test_every_vendor_gives_the_same_result(script: Script, caller: Caller) -> None:
    """Its stream, put together, is the plain answer, as we read it and as the caller does, who can send it back."""
    for lane in lanes(script, caller):
        route = [lane] * len(script.steps)

        plain = await play(script, caller, route)
        streamed = await play(script, caller, route, stream=True)

        assert [essence(each.answer) for each in plain] == wanted(script), lane.name
        assert [unnamed(each.answer) for each in streamed] == [unnamed(each.answer) for each in plain], lane.name
        assert [joined(caller, each.shown) for each in streamed] == [each.reply for each in streamed], lane.name
        assert repeated(caller, streamed) == [spoken(each.answer.choices[0].parts) for each in streamed[:-1]], lane.name


def repeated(caller: Caller, played: list[Exchange]) -> list[tuple[Part, ...]]:
    """What the last request says has been answered before, answers that said nothing among them."""
    told = DIALECTS[caller.dialect].read(played[-1].body)
    said = iter([spoken(turn.parts) for turn in told.turns if turn.role == "assistant"])
    return [next(said, ()) if says_anything(each.answer) else () for each in played[:-1]]


@pytest.mark.parametrize(("script", "caller"), OF_MANY_TURNS.values(), ids=OF_MANY_TURNS)
async def test_a_conversation_moves_to_another_vendor_at_every_turn(script: Script, caller: Caller) -> None:
    """There and back: what only one can read goes back to it, and no other sees it."""
    able = lanes(script, caller)

    for one, other in pairs():
        if one in able and other in able:
            route = [(one, other)[number % 2] for number in range(len(script.steps))]

            played = await play(script, caller, route)

            assert [essence(each.answer) for each in played] == wanted(script)
            assert misplaced_tokens(route, played, caller) == []


def pairs() -> Iterator[tuple[Lane, Lane]]:
    """From each vendor to each other, and from one model of a vendor to another."""
    yield from permutations(ONE_OF_EACH, 2)
    yield from ((one, other) for one, other in permutations(LANES, 2) if one.vendor == other.vendor)


def misplaced_tokens(route: list[Lane], played: list[Exchange], caller: Caller) -> list[str]:
    """Tokens that another has seen, or that the caller was shown and who made them has not been given back."""
    made = [tokens(each.answer) if says_anything(each.answer) else [] for each in played]
    shown = [shown_tokens(each, caller) if says_anything(each.answer) else [] for each in played]
    found: list[str] = []
    for number, exchange in enumerate(played):
        sent = exchange.sent.body.decode()
        for before in range(number):
            own = route[number].reads_what_comes_from(route[before])
            found += [token for token in shown[before] if token not in sent] if own else []
            found += [] if own else [token for token in made[before] if token in sent]
        found += ["a seal of ours"] if '"aw1.' in sent else []
    return found


def shown_tokens(exchange: Exchange, caller: Caller) -> list[str]:
    """What the caller can send back: one of Messages that asks for no thoughts is shown those of calls only."""
    asks = caller.dialect is not Dialect.ANTHROPIC_MESSAGES or b'"thinking"' in exchange.body
    return tokens(exchange.answer) if asks else tokens_of_calls(exchange.answer)
