"""The decision: facts as examples, laws as properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allweather.policy.conditions import Condition, InvalidCondition
from allweather.policy.rules import VARIABLES, Rule, RuleSet, Subject, evaluate

PERMIT = Rule(id="models/demo", effect="permit", when='tenant == "demo"')
EU = Rule(id="residency/eu", effect="oblige", when='data_class == "personal-eu"', regions=("eu",))
NEAR = Rule(id="residency/near", effect="oblige", regions=("eu", "uk"))
DENY = Rule(id="models/large", effect="deny", when='route == "opus"', code="model_not_allowed", reason="Use another.")
BROKEN = Rule(id="broken/index", effect="permit", when='regions[0] == "eu"')
DEMO = Subject(tenant="demo", route="triage")


def test_a_permit_names_the_rule_and_the_digest():
    rules = RuleSet.of([PERMIT, EU])

    verdict = evaluate(rules, DEMO, at_ms=7)

    assert (verdict.effect, verdict.rules, verdict.regions, verdict.vendors) == ("permit", ("models/demo",), None, None)
    assert verdict.policy_digest == rules.digest
    assert verdict.decided_at_ms == 7


def test_without_a_permit_the_answer_is_no():
    verdict = evaluate(RuleSet.of([PERMIT, NEAR]), Subject(tenant="other", route="triage"))

    assert (verdict.effect, verdict.code) == ("deny", "not_permitted")
    assert verdict.reason == "No rule permits tenant 'other' to use 'triage'."


def test_an_obligation_grants_nothing():
    verdict = evaluate(RuleSet.of([NEAR]), DEMO)

    assert verdict.effect == "deny"


def test_a_deny_overrides_a_permit_and_gives_its_reason():
    verdict = evaluate(RuleSet.of([PERMIT, DENY]), Subject(tenant="demo", route="opus"))

    assert (verdict.effect, verdict.rules) == ("deny", ("models/large",))
    assert (verdict.code, verdict.reason) == ("model_not_allowed", "Use another.")


def test_obligations_intersect_with_each_other_and_with_what_the_caller_asks():
    subject = Subject(tenant="demo", route="triage", data_class="personal-eu", regions=("us", "eu"))

    verdict = evaluate(RuleSet.of([PERMIT, NEAR, EU]), subject)

    assert verdict.regions == ("eu",)
    assert verdict.rules == ("models/demo", "residency/near", "residency/eu")


def test_obligations_that_leave_nothing_deny_and_say_which_rule_says_what():
    subject = Subject(tenant="demo", route="triage", data_class="personal-eu", regions=("us",))

    verdict = evaluate(RuleSet.of([PERMIT, EU]), subject)

    assert (verdict.effect, verdict.code) == ("deny", "no_permitted_region")
    assert verdict.reason is not None
    assert "rule residency/eu says eu" in verdict.reason
    assert "asks for us" in verdict.reason


def test_vendors_that_leave_nothing_deny():
    first = Rule(id="a/x", effect="permit", vendors=("openai",))
    second = Rule(id="a/y", effect="oblige", vendors=("anthropic",))

    verdict = evaluate(RuleSet.of([first, second]), DEMO)

    assert (verdict.effect, verdict.code) == ("deny", "no_permitted_vendor")


def test_a_rule_that_cannot_be_evaluated_denies_and_is_named():
    verdict = evaluate(RuleSet.of([PERMIT, BROKEN]), DEMO)

    assert (verdict.effect, verdict.code, verdict.rules) == ("deny", "rule_failed", ("broken/index",))
    assert verdict.reason is not None
    assert "index out of bounds" in verdict.reason


def test_a_rule_that_answers_neither_yes_nor_no_denies():
    counting = Rule(id="broken/count", effect="permit", when="input_tokens + 1")

    assert evaluate(RuleSet.of([counting]), DEMO).code == "rule_failed"


@pytest.mark.parametrize(
    ("source", "line", "column", "part"),
    [
        ('tenant = "demo"', 1, 8, "token recognition"),
        ('tenant == "a"\n  && rout == "b"', 2, 6, "unknown name 'rout'"),
        ("lower(tenant) == 'a'", 1, 1, "unknown function 'lower'"),
        ("", 1, 1, "mismatched input"),
        ("true || " * 1000 + "true", 1, 1, "longer than"),
    ],
)
def test_a_faulty_condition_points_at_its_fault(source: str, line: int, column: int, part: str):
    with pytest.raises(InvalidCondition, match=part) as raised:
        Condition(source, VARIABLES)

    assert (raised.value.line, raised.value.column) == (line, column)


def test_a_name_bound_by_a_macro_is_known():
    rule = Rule(id="a/any", effect="permit", when='capabilities.exists(c, c == "vision") || regions.all(r, r != "us")')

    assert evaluate(RuleSet.of([rule]), DEMO).effect == "permit"


PLACES = st.lists(st.sampled_from(["eu", "us", "uk", "au"]), min_size=1, max_size=4, unique=True).map(tuple)
WHEN = st.sampled_from(["true", "false", 'tenant == "demo"', "stream", 'regions[0] == "eu"'])
RULES = st.lists(
    st.builds(
        Rule,
        id=st.from_regex(r"[a-z]{1,6}/[a-z]{1,6}", fullmatch=True),
        when=WHEN,
        effect=st.sampled_from(["permit", "deny", "oblige"]),
        regions=st.none() | PLACES,
    ),
    max_size=6,
)
SUBJECTS = st.builds(
    Subject, tenant=st.sampled_from(["demo", "x"]), route=st.just("triage"), regions=st.just(()) | PLACES
)


@given(RULES, SUBJECTS)
def test_adding_a_deny_that_holds_never_permits(rules: list[Rule], subject: Subject):
    more = RuleSet.of([*rules, Rule(id="always/deny", effect="deny")])

    assert evaluate(more, subject).effect == "deny"


@given(RULES, SUBJECTS, PLACES)
def test_another_obligation_never_widens_the_verdict(rules: list[Rule], subject: Subject, places: tuple[str, ...]):
    before = evaluate(RuleSet.of(rules), subject)

    after = evaluate(RuleSet.of([*rules, Rule(id="one/more", effect="oblige", regions=places)]), subject)

    if before.effect == "deny":
        assert after.effect == "deny"
    if after.effect == "permit":
        assert after.regions is not None
        assert set(after.regions) <= set(places)
        assert before.regions is None or set(after.regions) <= set(before.regions)


@given(RULES, SUBJECTS)
def test_the_order_of_rules_does_not_change_what_is_permitted(rules: list[Rule], subject: Subject):
    forwards, backwards = evaluate(RuleSet.of(rules), subject), evaluate(RuleSet.of(rules[::-1]), subject)

    assert forwards.effect == backwards.effect
    assert set(forwards.regions or ()) == set(backwards.regions or ())


@given(RULES)
def test_equal_rules_have_equal_digests_and_other_rules_another(rules: list[Rule]):
    extended = [*rules, Rule(id="one/more", effect="deny")]

    assert RuleSet.of(rules).digest == RuleSet.of(list(rules)).digest
    assert RuleSet.of(rules).digest != RuleSet.of(extended).digest
