"""Answers depend on the conversation, and on nothing else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allweather.vendorsim.answers import Ask, Finish, Tool, compose, estimate, pick_tool, pieces
from allweather.vendorsim.answers.schema import fill
from allweather.vendorsim.answers.triage import triage


def ask(question: str = "Where is my parcel?", **changes: Any) -> Ask:
    given_: dict[str, Any] = {
        "model": "m",
        "system": "",
        "conversation": f"user: {question}",
        "question": question,
        "input_tokens": 5,
        **changes,
    }
    return Ask(**given_)


@given(st.text())
def test_pieces_joined_are_the_text(text: str) -> None:
    assert "".join(pieces(text)) == text


@given(st.text(), st.text())
def test_longer_input_never_has_fewer_tokens(text: str, more: str) -> None:
    assert estimate(text + more) >= estimate(text)


@given(st.text(max_size=200), st.integers(0, 60))
def test_same_conversation_has_the_same_answer_within_its_limit(question: str, limit: int) -> None:
    answer = compose(ask(question, max_tokens=limit))

    assert answer == compose(ask(question, max_tokens=limit))
    assert answer.tokens <= limit


def test_other_conversations_and_models_have_other_answers() -> None:
    texts = {compose(each).text for each in (ask(), ask("Where is my money?"), ask(model="n"), ask(system="Be brief."))}

    assert len(texts) == 4


def test_long_answer_has_two_thousand_tokens() -> None:
    assert compose(ask("[[long]]")).tokens == 2000


def test_system_prompt_that_wants_json_gets_a_triage_object() -> None:
    answer = compose(ask("Bitte sofort erstatten! Die Rechnung ist nicht meine.", system="Answer with JSON only."))

    assert json.loads(answer.text) == {
        "category": "billing",
        "urgency": "high",
        "language": "de",
        "summary": "Bitte sofort erstatten!",
    }


@pytest.mark.parametrize(
    ("text", "category", "urgency", "language"),
    [
        ("The blender started to smoke and my son was burned, we are in hospital.", "safety", "critical", "en"),
        ("Je n'ai pas reçu mon colis, c'est urgent.", "delivery", "high", "fr"),
        ("¿Cómo puedo devolver el producto? Sin prisa.", "returns", "low", "es"),
        ("商品が壊れています。", "product_defect", "medium", "ja"),
        ("비밀번호를 잊었어요", "account", "medium", "ko"),
        ("What are your opening hours on Sunday?", "question", "medium", "en"),
    ],
)
def test_tickets_are_sorted_by_what_they_say(text: str, category: str, urgency: str, language: str) -> None:
    found = triage(text)

    assert (found.category, found.urgency, found.language) == (category, urgency, language)


def test_stop_sequence_ends_the_text_before_it() -> None:
    whole = compose(ask())
    word = whole.text.split()[3]

    answer = compose(ask(stop=["never seen", word]))

    assert (answer.finish, answer.stop_sequence) == (Finish.STOP_SEQUENCE, word)
    assert answer.text == whole.text.partition(word)[0]


def test_tool_is_picked_when_named_required_or_asked_for() -> None:
    tools = [Tool("first", {}), Tool("second", {})]

    assert pick_tool(tools, named="second", required=False, turn="") == tools[1]
    assert pick_tool(tools, named=None, required=True, turn="") == tools[0]
    assert pick_tool(tools, named=None, required=False, turn="[[tool]] please") == tools[0]
    assert pick_tool(tools, named=None, required=False, turn="please") is None
    assert pick_tool([], named=None, required=True, turn="") is None


def test_schema_with_references_and_choices_is_filled() -> None:
    schema = {
        "type": "object",
        "properties": {
            "level": {"$ref": "#/$defs/Level"},
            "note": {"anyOf": [{"type": "null"}, {"type": "string"}]},
            "tags": {"type": "array", "items": {"enum": ["a", "b"]}},
            "kind": {"const": "ticket"},
            "score": {"type": ["integer", "null"], "minimum": 3, "maximum": 3},
        },
        "$defs": {"Level": {"type": "string", "enum": ["low", "high"]}},
    }

    value = fill(schema, {"level": "high", "note": "said"}, 0)

    assert value == {"level": "high", "note": "said", "tags": ["a"], "kind": "ticket", "score": 3}
