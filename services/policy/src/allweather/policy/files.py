"""Rule files: YAML documents `{description, rules: [...]}`, read in the order of their names and checked as a whole.

A rule is known as `<file>/<id>`: rule `demo` of `models.yaml` is `models/demo`. Every fault names its file, line,
column and rule.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import ValidationError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from allweather.contracts.config import Configuration
from allweather.policy.conditions import Condition, ConditionFailed, InvalidCondition
from allweather.policy.rules import VARIABLES, Rule, RuleSet, Subject

_SAMPLE = Subject(tenant="demo", route="triage")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with the rule files; `line` and `column` count from 1."""

    file: str
    line: int
    column: int
    rule: str | None
    message: str

    def __str__(self) -> str:
        rule = f"rule {self.rule}: " if self.rule else ""
        return f"{self.file}:{self.line}:{self.column}: {rule}{self.message}"


class InvalidPolicies(ValueError):
    """The rule files cannot be used; `faults` lists every reason."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = tuple(faults)


@dataclass(slots=True)
class _File:
    """One file while it is read: what it holds so far, and what is wrong with it."""

    name: str
    stem: str
    text: str
    rules: list[Rule] = field(default_factory=list[Rule])
    faults: list[Fault] = field(default_factory=list[Fault])

    def fault(self, node: Node, rule: str | None, message: str) -> None:
        mark = node.start_mark
        self.faults.append(Fault(self.name, mark.line + 1, mark.column + 1, rule, message))


def load(folder: Path, configuration: Configuration | None = None) -> RuleSet:
    """The rules in `folder/*.yaml`, compiled. Raises `InvalidPolicies` with every fault.

    With a configuration, vendors and places that rules name must exist in it: a misspelt one would deny everything.
    """
    files = [_read(path, configuration) for path in sorted(folder.glob("*.yaml"))]
    faults = [fault for file in files for fault in file.faults]
    if not files:
        faults.append(Fault(str(folder), 1, 1, None, "no rule file (*.yaml) here; without rules nothing is permitted"))
    if faults:
        raise InvalidPolicies(faults)
    rules = (rule for file in files for rule in file.rules)
    return RuleSet.of(rules, configuration.digest if configuration else "")


def _read(path: Path, configuration: Configuration | None) -> _File:
    file = _File(str(path), path.stem, path.read_bytes().decode(errors="replace"))
    try:
        for node in _rule_nodes(file, yaml.compose(file.text, Loader=yaml.SafeLoader)):
            _read_rule(file, node, configuration)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        file.faults.append(Fault(file.name, line, column, None, f"not YAML: {error.problem}"))
    return file


def _rule_nodes(file: _File, document: Node | None) -> Iterator[MappingNode]:
    if not isinstance(document, MappingNode):
        file.faults.append(Fault(file.name, 1, 1, None, "a rule file is a mapping with the key 'rules'"))
        return
    for key, value in _entries(document).items():
        if key.value not in {"description", "rules"}:
            file.fault(key, None, f"unknown field '{key.value}'; known: description, rules")
        elif key.value == "rules" and isinstance(value, SequenceNode):
            yield from _mappings(file, value)
        elif key.value == "rules":
            file.fault(value, None, "'rules' is a list")


def _mappings(file: _File, rules: SequenceNode) -> Iterator[MappingNode]:
    for node in rules.value:
        if isinstance(node, MappingNode):
            yield node
        else:
            file.fault(node, None, "a rule is a mapping with at least 'id' and 'effect'")


def _read_rule(file: _File, node: MappingNode, configuration: Configuration | None) -> None:
    entries = {key.value: value for key, value in _entries(node).items()}
    written = _plain(node)
    name = f"{file.stem}/{written.get('id', '?')}"
    try:
        rule = Rule.model_validate({**written, "id": name})
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            where = str(detail["loc"][0])
            file.fault(entries.get(where, node), name, f"{where}: {_sentence(detail['type'], detail['msg'])}")
        return
    file.faults.extend(_faults(file, rule, node, entries, configuration))
    file.rules.append(rule)


def _faults(
    file: _File, rule: Rule, node: MappingNode, entries: Mapping[str, Node], configuration: Configuration | None
) -> Iterator[Fault]:
    """What is wrong with a rule whose fields have the right types."""

    def at(where: str, message: str) -> Fault:
        mark = entries.get(where, node).start_mark
        return Fault(file.name, mark.line + 1, mark.column + 1, rule.id, f"{where}: {message}")

    if any(rule.id == other.id for other in file.rules):
        yield at("id", "this id is taken by an earlier rule")
    if rule.effect == "deny" and (rule.regions or rule.vendors):
        yield at("effect", "a deny has no obligations; 'regions' and 'vendors' belong to permit and oblige")
    if rule.effect == "oblige" and not (rule.regions or rule.vendors):
        yield at("effect", "an oblige without 'regions' or 'vendors' says nothing")
    if configuration is not None:
        places = {deployment.processed_in for deployment in configuration.deployments}
        known = {"regions": places, "vendors": {vendor.id for vendor in configuration.vendors}}
        for where, names in (("regions", rule.regions), ("vendors", rule.vendors)):
            for name in names or ():
                if name not in known[where]:
                    yield at(where, f"no deployment has '{name}'; known: {', '.join(sorted(known[where]))}")
    yield from _condition_faults(file, rule, entries.get("when"))


def _condition_faults(file: _File, rule: Rule, node: Node | None) -> Iterator[Fault]:
    try:
        Condition(rule.when, VARIABLES).holds(_SAMPLE.facts(VARIABLES))
    except InvalidCondition as error:
        assert node is not None, "the default condition compiles"
        line, column = _within(file.text, node, error.line, error.column)
        yield Fault(file.name, line, column, rule.id, f"when: {error}")
    except ConditionFailed as error:
        assert node is not None, "the default condition has an answer"
        line, column = _within(file.text, node, 1, 1)
        yield Fault(file.name, line, column, rule.id, f"when: {error} (for a request that asks for nothing special)")


def _within(text: str, node: Node, line: int, column: int) -> tuple[int, int]:
    """The place in the file of a place in a scalar."""
    mark = node.start_mark
    style = node.style if isinstance(node, ScalarNode) else None
    if style not in {"|", ">"}:
        return mark.line + line, mark.column + column + (1 if style else 0)
    before = node.value.splitlines()[: line - 1]
    return _within_block(text.splitlines(), mark.line + 1, sum(len(part) + 1 for part in before) + column)


def _within_block(lines: list[str], first: int, position: int) -> tuple[int, int]:
    """The place of a block's character: a line break counts as one, whether the block keeps it or folds it."""
    indent = len(lines[first]) - len(lines[first].lstrip())
    for number, source in enumerate(lines[first:], start=first + 1):
        length = max(0, len(source) - indent)
        if position <= length:
            return number, indent + position
        position -= length + 1
    return len(lines), 1


def _entries(node: MappingNode) -> dict[ScalarNode, Node]:
    return {key: value for key, value in node.value if isinstance(key, ScalarNode)}


def _plain(node: MappingNode) -> dict[str, Any]:
    """The node as Python values. Tags of YAML cannot construct anything: the loader is the safe one."""
    loader = yaml.SafeLoader("")
    construct = cast("Callable[[Node, bool], Any]", loader.construct_object)  # pyright: ignore[reportUnknownMemberType] - untyped there
    try:
        return {str(key.value): construct(value, True) for key, value in _entries(node).items()}
    finally:
        loader.dispose()


def _sentence(kind: str, message: str) -> str:
    known = ", ".join(Rule.model_fields)
    return f"unknown field; known: {known}" if kind == "extra_forbidden" else message
