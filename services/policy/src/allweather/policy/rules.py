"""The decision: what the rules say of a subject. Pure: the same rules and subject always give the same verdict.

Every rule whose condition holds takes part. A deny overrides every permit; without any permit the answer is no; a rule
that cannot be evaluated denies. Obligations (`regions`, `vendors`) intersect, with each other and with what the caller
asked for; when nothing is left the answer is no.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec
from pydantic import Field

from allweather.contracts.model import Model, canonical_json, digest
from allweather.contracts.slip import Verdict
from allweather.policy.conditions import Condition, ConditionFailed, Facts

RULE_ID: Final = r"^[a-z0-9][a-z0-9._/-]{0,126}$"


class Subject(msgspec.Struct, frozen=True):
    """What a rule may look at: the names of these fields are the variables of `when`."""

    tenant: str
    route: str
    """What the application named as `model`."""
    priority: str = "interactive"
    """`interactive` or `bulk`."""
    data_class: str = ""
    """The caller's classification of the content; empty when it gave none."""
    regions: tuple[str, ...] = ()
    """Places in which the caller asked the request to be processed; empty when it does not mind."""
    stream: bool = False
    input_tokens: int = 0
    """Estimate, an upper bound."""
    output_tokens: int = 0
    """The caller's limit; 0 when it gave none."""
    capabilities: tuple[str, ...] = ()
    """What the request needs: `streaming`, `tools`, `vision` and so on; `embeddings` alone when it asks for vectors."""
    hour: int = 0
    """Hour of the day, 0 to 23, in UTC, at which the request was accepted."""

    def facts(self, names: Iterable[str]) -> Facts:
        """The subject as conditions see it that look at `names`."""
        return Facts({name: getattr(self, name) for name in names})


VARIABLES: Final = frozenset(Subject.__struct_fields__)


class Rule(Model, extra="forbid"):
    """One rule as an operator writes it."""

    id: str = Field(pattern=RULE_ID)
    description: str = ""
    when: str = "true"
    effect: Literal["permit", "deny", "oblige"]
    """`permit` grants (with its obligations), `deny` forbids, `oblige` grants nothing and only adds obligations."""
    regions: tuple[str, ...] | None = Field(default=None, min_length=1)
    """The request must be processed in one of these places."""
    vendors: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Only these vendors may see the request."""
    reason: str | None = None
    """One sentence for the caller, shown with a deny: what is wrong and what to do."""
    code: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_]{0,62}$")
    """Machine-readable reason of a deny."""


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Rules in their order, compiled, with the digest under which their verdicts are recorded."""

    rules: tuple[Rule, ...]
    conditions: tuple[Condition, ...] = field(repr=False)
    document: bytes = field(repr=False)
    """What the digest names: canonical JSON of the rules and of the digest of the configuration they go with."""
    digest: str
    names: frozenset[str]
    """The variables that any of the conditions looks at: only these are converted for each request."""

    @classmethod
    def of(cls, rules: Iterable[Rule], configuration: str = "") -> "RuleSet":
        """The rules, compiled, for the configuration of that digest. Raises `InvalidCondition`."""
        rules = tuple(rules)
        conditions = tuple(Condition(rule.when, VARIABLES) for rule in rules)
        written = [rule.model_dump(mode="json", exclude_none=True) for rule in rules]
        document = canonical_json({"configuration": configuration, "rules": written})
        names = frozenset[str]().union(*(condition.names for condition in conditions))
        return cls(rules, conditions, document, digest(document), names)


def evaluate(rules: RuleSet, subject: Subject, *, at_ms: int = 0) -> Verdict:
    """The verdict of `rules` on `subject`, naming every rule that decided."""
    matched: list[Rule] = []
    facts = subject.facts(rules.names)
    for rule, condition in zip(rules.rules, rules.conditions, strict=True):
        try:
            if condition.holds(facts):
                matched.append(rule)
        except ConditionFailed as failure:
            return _denied(rules, at_ms, [rule], "rule_failed", f"Rule {rule.id} has no answer: {failure}.")
    return _weigh(rules, subject, matched, at_ms)


def _weigh(rules: RuleSet, subject: Subject, matched: list[Rule], at_ms: int) -> Verdict:
    denies = [rule for rule in matched if rule.effect == "deny"]
    if denies:
        first = denies[0]
        reason = first.reason or f"Rule {first.id} does not permit this request."
        return _denied(rules, at_ms, denies, first.code or "denied", reason)
    if not any(rule.effect == "permit" for rule in matched):
        reason = f"No rule permits tenant '{subject.tenant}' to use '{subject.route}'."
        return _denied(rules, at_ms, matched, "not_permitted", reason)
    return _permitted(rules, subject, matched, at_ms)


def _permitted(rules: RuleSet, subject: Subject, matched: list[Rule], at_ms: int) -> Verdict:
    regions = _intersection([subject.regions or None, *(rule.regions for rule in matched)])
    vendors = _intersection(rule.vendors for rule in matched)
    if regions == ():
        asked = f" and the request asks for {', '.join(subject.regions)}" if subject.regions else ""
        reason = f"No place is left in which this request may be processed: {_bounds(matched, 'regions')}{asked}."
        return _denied(rules, at_ms, matched, "no_permitted_region", reason)
    if vendors == ():
        reason = f"No vendor is left that may see this request: {_bounds(matched, 'vendors')}."
        return _denied(rules, at_ms, matched, "no_permitted_vendor", reason)
    return Verdict(
        effect="permit",
        rules=_ids(matched),
        regions=regions,
        vendors=vendors,
        policy_digest=rules.digest,
        decided_at_ms=at_ms,
    )


def _denied(rules: RuleSet, at_ms: int, decided: Sequence[Rule], code: str, reason: str) -> Verdict:
    return Verdict(
        effect="deny",
        rules=_ids(decided),
        code=code,
        reason=reason,
        policy_digest=rules.digest,
        decided_at_ms=at_ms,
    )


def _ids(rules: Iterable[Rule]) -> tuple[str, ...]:
    return tuple(rule.id for rule in rules)


def _intersection(obligations: Iterable[tuple[str, ...] | None]) -> tuple[str, ...] | None:
    """What all obligations permit, in the order of the first; None when there is none."""
    left: tuple[str, ...] | None = None
    for allowed in obligations:
        if allowed is not None:
            left = allowed if left is None else tuple(name for name in left if name in allowed)
    return left


def _bounds(matched: Iterable[Rule], obligation: Literal["regions", "vendors"]) -> str:
    bounds = ((rule.id, getattr(rule, obligation)) for rule in matched)
    return ", ".join(f"rule {rule} says {' or '.join(names)}" for rule, names in bounds if names)
