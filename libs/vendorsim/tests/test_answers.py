"""Answers depend on the conversation, and on nothing else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from allweather.vendorsim.answers import Ask, Finish, Tool, compose, estimate, pieces, variants
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


LOOK_UP = Tool("look_up", {"type": "object", "properties": {"order": {"type": "string"}}})
HAND_OVER = Tool("hand_over", {"type": "object", "properties": {}})


def called(question: str, **changes: Any) -> list[tuple[str, Any]]:
    answer = compose(ask(question, tools=[LOOK_UP, HAND_OVER], **changes))
    return [(call.name, json.loads(call.arguments)) for call in answer.calls]


def test_tool_is_called_when_one_is_required_or_asked_for() -> None:
    assert called("Hello.") == []
    assert called("Hello.", must_call=True) == [("look_up", {"order": "Hello."})]
    assert called("[[tool]] Hello.") == [("look_up", {"order": "Hello."})]
    assert called("[[tool hand_over]] Hello.") == [("hand_over", {})]
    assert called("[[tool unknown]] Hello.") == []


def test_cue_gives_the_arguments_even_where_they_end_in_brackets() -> None:
    assert called('[[tool look_up {"order": "A-1", "places": [[1, 2]]}]] Hello.') == [
        ("look_up", {"order": "A-1", "places": [[1, 2]]})
    ]


def test_several_cues_are_parallel_calls_unless_that_is_switched_off() -> None:
    both = "[[tool look_up]] [[tool hand_over]] Hello."

    assert [name for name, _ in called(both)] == ["look_up", "hand_over"]
    assert [name for name, _ in called(both, parallel=False)] == ["look_up"]


def test_each_step_of_a_turn_has_its_own_cues() -> None:
    turn = "[[tool look_up]] [[then]] [[tool hand_over]] [[then]] [[say Done.]] Hello."

    assert [name for name, _ in called(turn)] == ["look_up"]
    assert [name for name, _ in called(turn, step=1)] == ["hand_over"]
    assert compose(ask(turn, step=2)).text == "Done."
    assert called(turn, step=3) == []


def test_words_of_the_user_can_be_repeated_before_a_call() -> None:
    answer = compose(ask("[[say One moment.]] [[tool]]", tools=[HAND_OVER]))

    assert (answer.text, answer.finish) == ("One moment.", Finish.TOOL)
    assert [call.name for call in answer.calls] == ["hand_over"]


def test_what_the_tools_have_found_is_told() -> None:
    assert "parcel 7 is in Bergen" in compose(ask(step=1, results=["parcel 7 is in Bergen"])).text


def test_brackets_that_are_no_cue_stay_text() -> None:
    assert compose(ask("[[nonsense]] [[tool {broken]] See [[1]].", tools=[HAND_OVER])).finish is Finish.STOP


@given(st.text(max_size=60))
def test_any_text_can_be_read_for_cues(text: str) -> None:
    compose(ask(f"[[{text}]] [[tool {text}", tools=[HAND_OVER]))


@given(st.integers(0, 40))
def test_limit_cuts_reasoning_then_text_then_the_call(limit: int) -> None:
    turn = '[[say One moment, please.]] [[tool look_up {"order": "A-1234567890", "note": "look at it soon"}]]'

    answer = compose(ask(turn, tools=[LOOK_UP], max_tokens=limit, reasoning_tokens=8, reasons=True))

    assert answer.tokens <= limit
    if limit <= 8:
        assert (answer.reasoning_tokens, answer.text, answer.calls) == (limit, "", ())
    assert (answer.finish is Finish.LENGTH) == (not answer.calls or answer.calls[0].cut)


def test_call_that_is_cut_off_is_the_beginning_of_the_whole_one() -> None:
    turn = '[[tool look_up {"order": "A-1234567890", "note": "look at it soon"}]]'
    (whole,) = compose(ask(turn, tools=[LOOK_UP])).calls

    (cut,) = compose(ask(turn, tools=[LOOK_UP], max_tokens=9)).calls

    assert cut.cut
    assert 0 < len(cut.arguments) < len(whole.arguments)
    assert whole.arguments.startswith(cut.arguments)


def test_reasoning_has_the_length_that_a_cue_asks_for_where_the_model_may_think() -> None:
    assert compose(ask("[[think 100]]", reasons=True)).reasoning_tokens == 100
    assert len(compose(ask("[[think 100]]", reasons=True)).thought) == 100
    assert compose(ask("[[think 100]]")).reasoning_tokens == 0


def test_variants_differ_and_begin_with_the_answer_to_the_same_question() -> None:
    three = variants(ask(), 3)

    assert len({answer.text for answer in three}) == 3
    assert three[0] == compose(ask())


def test_forms_and_arguments_do_not_depend_on_the_model() -> None:
    schema = {"type": "object", "properties": {"kind": {"enum": ["a", "b", "c"]}, "score": {"type": "integer"}}}

    answers = [compose(ask(model=model, schema=schema)).text for model in ("one", "two", "three")]

    assert len(set(answers)) == 1


SCHEMAS: list[dict[str, Any]] = [
    {"type": "object", "properties": {"n": {"type": "integer", "exclusiveMinimum": 3, "maximum": 4}}},
    {"type": "object", "properties": {"n": {"type": "number", "minimum": 20, "multipleOf": 7}}},
    {"type": "object", "properties": {"n": {"type": "number", "exclusiveMaximum": 0}}},
    {"type": "array", "minItems": 3, "maxItems": 3, "items": {"type": "string", "minLength": 200}},
    {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]},
    {"type": "object", "properties": {"s": {"type": "string", "maxLength": 4}}, "required": ["s"]},
    {"allOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"b": {"type": "boolean"}}}], "type": "object"},
    {"oneOf": [{"type": "null"}, {"enum": ["x", "y"]}]},
    {"type": "object", "properties": {"when": {"type": "string", "format": "date-time"}}},
    {
        "$ref": "#/$defs/Node",
        "$defs": {
            "Node": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/Node"}]},
                },
                "required": ["name"],
            }
        },
    },
]


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("choice", [0, 1, 7])
def test_value_made_for_a_schema_is_valid_under_it(schema: dict[str, Any], choice: int) -> None:
    value = fill(schema, {"summary": "Said."}, choice)

    validator: Any = Draft202012Validator(schema, format_checker=FormatChecker())
    assert validator.is_valid(value)


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
