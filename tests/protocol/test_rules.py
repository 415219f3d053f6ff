"""What each rule is for: with it taken out, some schedule breaks a promise, and the same seed breaks it again."""

import pytest
from simulator.explore import hunt, trace
from simulator.removed import RULES

BROKEN = {
    "R1-first-row": {"P1", "P2", "P3", "P6", "R1"},
    "R1-same-cause": {"P1", "P6"},
    "R1-outcome-stops": {"P2", "R1", "R2"},
    "R2-by-a-record": {"P1"},
    "R2-dead-letters": {"P1", "P6"},
    "R2-settles-first": {"R2"},
    "R3": {"P4"},
    "R4-acknowledged": {"P1"},
    "R4-queued": {"P1"},
    "R5-claims": {"P4"},
    "R5-done": {"P4"},
    "R5-lease": {"P4"},
    "R5-same-attempt": {"P4"},
    "R6-age": {"R6, age"},
    "R6-room": {"R6"},
    "R7": {"P1", "P6"},
    "R8-named": {"R8"},
    "R8-pinned": {"R8"},
    "R8-whole": {"R8"},
    "R10-address": {"P1", "P6"},
    "R10-answer-kept": {"P1"},
    "R10-conflict": {"P3"},
    "R10-key": {"P1", "P3"},
    "R10-refused": {"P1", "P6"},
    "R10-waiters": {"P1", "P6"},
    "P5-deadline": {"P5"},
    "P6": {"P6"},
}
"""What must be found broken, all of it or a part, and nothing else."""
ENOUGH = 4_000
"""Schedules within which every loss shows; most need fewer than a hundred."""


@pytest.mark.parametrize("rule", sorted(RULES))
def test_without_a_rule_a_promise_breaks(rule: str):
    found = hunt(range(ENOUGH), RULES[rule])

    assert found is not None, f"{ENOUGH} schedules did not miss {rule}"
    print(f"without {rule}, seed {found.seed}:", *found.violations, sep="\n  ")  # noqa: T201 - with -s, what it was for
    assert {violation.rule for violation in found.violations} <= BROKEN[rule]
    assert trace(found.seed, RULES[rule]).violations == found.violations, "a seed is a schedule"


def test_every_rule_has_its_loss_described():
    assert BROKEN.keys() == RULES.keys()
