"""A streamed answer, put together, is the answer that came whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allweather.contracts.answers import (
    Answer,
    Assembly,
    CallArguments,
    CallBegun,
    Choice,
    Counted,
    Event,
    Finished,
    Refused,
    Said,
    Thought,
    Unfinished,
    assembled,
    events_of,
)
from allweather.contracts.conversation import (
    Finish,
    Opaque,
    Origin,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    Turn,
    merged,
    seal,
    unseal,
)
from allweather.contracts.slip import Usage

WORDS = st.text(max_size=20)
NAMES = st.text("abc_", min_size=1, max_size=8)
ORIGINS = st.builds(Origin, st.sampled_from(["anthropic.messages", "google.gemini"]), st.sampled_from(["", "claude"]))
PARTS: st.SearchStrategy[Part] = st.one_of(
    st.builds(Text, st.text(min_size=1, max_size=20)),
    st.builds(ToolCall, NAMES, NAMES, WORDS),
    st.builds(Reasoning, WORDS, NAMES, ORIGINS, NAMES),
    st.builds(Reasoning, st.text(min_size=1, max_size=20)),
    st.builds(Refusal, WORDS, NAMES),
    st.builds(Opaque, ORIGINS, st.dictionaries(NAMES, WORDS, max_size=2)),
)


def grows(last: Part, part: Part) -> bool:
    """Whether the two would be one part: neighbours of a kind, the first of them not closed by a token."""
    closed = isinstance(last, Reasoning) and bool(last.token)
    return type(last) is type(part) and not isinstance(part, ToolCall | Opaque) and not closed


def distinct(parts: list[Part]) -> tuple[Part, ...]:
    kept: list[Part] = []
    for part in parts:
        if not (kept and grows(kept[-1], part)):
            kept.append(part)
    return tuple(kept)


CHOICES = st.builds(
    Choice,
    st.lists(PARTS, max_size=6).map(distinct),
    st.sampled_from(Finish),
    st.none() | NAMES,
    st.none() | st.lists(st.fixed_dictionaries({"token": WORDS}), max_size=2).map(tuple),
)
USAGES = st.builds(Usage, input_tokens=st.integers(0, 99), output_tokens=st.integers(0, 99))
ANSWERS = st.builds(
    Answer,
    NAMES,
    NAMES,
    st.lists(CHOICES, min_size=1, max_size=3).map(tuple),
    st.none() | USAGES,
    st.integers(0, 2_000_000_000),
)


def in_pieces(event: Event, data: st.DataObject) -> list[Event]:
    """The event, its text cut in two where it has one that may be cut."""
    text: str = getattr(event, "text", "")
    cut = data.draw(st.integers(0, len(text)))
    match event:
        case Said(choice=choice):
            return [Said(text[:cut], choice), Said(text[cut:], choice)]
        case CallArguments(number=number, choice=choice):
            return [CallArguments(number, text[:cut], choice), CallArguments(number, text[cut:], choice)]
        case Refused(choice=choice, category=category):
            return [Refused(text[:cut], choice), Refused(text[cut:], choice, category)]
        case Thought(token=token, origin=origin, id=name, choice=choice):
            return [Thought(text[:cut], choice=choice), Thought(text[cut:], token, origin, name, choice)]
        case _:
            return [event]


@given(ANSWERS)
def test_an_answer_streamed_and_put_together_is_the_same(answer: Answer):
    assert assembled(events_of(answer)) == answer


@given(ANSWERS, st.data())
def test_it_is_the_same_wherever_its_texts_are_cut(answer: Answer, data: st.DataObject):
    assert assembled(piece for event in events_of(answer) for piece in in_pieces(event, data)) == answer


@given(ANSWERS, st.data())
def test_a_stream_that_is_cut_before_its_end_is_no_answer(answer: Answer, data: st.DataObject):
    events = list(events_of(answer))
    ends = [index for index, event in enumerate(events) if isinstance(event, Finished)]
    first_end = ends[0]

    with pytest.raises(Unfinished):
        assembled(events[: data.draw(st.integers(0, first_end))])


def test_parallel_calls_may_be_said_in_turns():
    told: list[Event] = [
        CallBegun(0, "a", "lookup"),
        CallBegun(1, "b", "refund"),
        CallArguments(1, '{"order"'),
        CallArguments(0, "{}"),
        CallArguments(1, ":7}"),
        Finished(Finish.TOOL_CALLS),
    ]

    assert assembled(told).choices[0].parts == (
        ToolCall("a", "lookup", "{}"),
        ToolCall("b", "refund", '{"order":7}'),
    )


def test_later_counts_replace_earlier_ones():
    usage = Usage(input_tokens=7, output_tokens=3)

    answer = assembled([Counted(Usage(input_tokens=7)), Said("yes"), Finished(Finish.STOP), Counted(usage)])

    assert answer.usage == usage


def test_an_assembly_is_finished_when_every_choice_is():
    assembly = Assembly()
    for event in (Said("a", 0), Said("b", 1), Finished(Finish.STOP, choice=0)):
        assembly.add(event)
    assert not assembly.finished

    assembly.add(Finished(Finish.LENGTH, choice=1))

    assert assembly.finished


def test_a_refusal_in_any_choice_makes_the_answer_one():
    choices = (Choice((), Finish.STOP), Choice((), Finish.FILTERED_OUTPUT))

    assert Answer("", "", choices).finish is Finish.FILTERED_OUTPUT


@given(st.builds(Reasoning, st.just(""), WORDS, st.none() | ORIGINS, WORDS))
def test_a_sealed_thought_comes_back_with_its_origin(thought: Reasoning):
    assert unseal(seal(thought)) == thought


@given(st.text() | st.text().map("aw1.".__add__))
def test_any_other_text_is_not_ours(text: str):
    assert unseal(text) is None or text.startswith("aw1.")


def test_tokens_fit_their_api_and_family_only():
    claude = Origin("anthropic.messages", "claude")

    assert claude.fits(Origin("anthropic.messages"))
    assert not claude.fits(Origin("anthropic.messages", "other"))
    assert not claude.fits(Origin("google.gemini", "claude"))


def test_neighbouring_turns_of_one_side_are_one():
    said = [Turn("user", (Text("a"),)), Turn("user", (Text("b"),)), Turn("assistant", (Text("c"),)), Turn("user", ())]

    assert merged(said) == (Turn("user", (Text("a"), Text("b"))), Turn("assistant", (Text("c"),)))
