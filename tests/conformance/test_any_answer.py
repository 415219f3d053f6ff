"""Whatever a model says and calls, it is had from every vendor, plain and streamed, in the very same words."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st
from suite.callers import CALLERS
from suite.callers.caller import Caller
from suite.essence import essence, unnamed
from suite.lanes import ONE_OF_EACH, Lane
from suite.playing import joined, play
from suite.script import ask, calls, says, script

from allweather.contracts.answers import Answer
from allweather.contracts.conversation import Thinking, Tool

LOOK: Final = Tool("look", "Looks for anything.", {"type": "object", "properties": {"for": {}}})
WORDS: Final = st.text(min_size=1, max_size=60).filter(lambda said: "]" not in said and said == said.strip())
"""That do not look like the end of a cue."""
SCALARS: Final = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=12)
ARGUMENTS: Final = st.dictionaries(
    st.text(max_size=6),
    st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner)),
    max_size=3,
)


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(ONE_OF_EACH),
    st.sampled_from(CALLERS),
    WORDS,
    st.lists(ARGUMENTS, max_size=3),
    st.sampled_from([None, Thinking("low", 1_024, shown=True)]),
)
def test_any_answer_is_the_same_plain_and_streamed(
    lane: Lane, caller: Caller, said: str, called: Sequence[dict[str, Any]], thinking: Thinking | None
) -> None:
    cues = "".join(f"[[tool look {json.dumps(arguments)}]]" for arguments in called)
    answer = calls(*(("look", arguments) for arguments in called), text=said) if called else says(said)
    drawn = script("drawn", ask(f"[[think 24]] [[say {said}]] {cues}", answer), tools=(LOOK,), thinking=thinking)

    (plain,) = asyncio.run(play(drawn, caller, [lane]))
    (streamed,) = asyncio.run(play(drawn, caller, [lane], stream=True))

    assert essence(plain.answer) == Answer("", "", (answer,))
    assert unnamed(streamed.answer) == unnamed(plain.answer)
    assert joined(caller, streamed.shown) == streamed.reply
