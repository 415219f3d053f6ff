"""Rule files: every fault is found, with its place."""

from pathlib import Path

import pytest

from allweather.contracts import config
from allweather.policy.files import InvalidPolicies, load

CONFIG = Path(__file__).parents[3] / "config"


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def faults(folder: Path) -> list[str]:
    with pytest.raises(InvalidPolicies) as raised:
        load(folder, config.load(CONFIG))
    return [str(fault).removeprefix(f"{folder}/") for fault in raised.value.faults]


def test_the_rules_of_this_repository_are_valid():
    rules = load(CONFIG / "policies", config.load(CONFIG))

    assert "models/demo" in {rule.id for rule in rules.rules}


def test_rules_are_named_by_file_and_read_in_the_order_of_files(tmp_path: Path):
    rule = "rules: [{id: a, effect: deny}]"

    rules = load(write(tmp_path, zebra=rule, ant=rule))

    assert [r.id for r in rules.rules] == ["ant/a", "zebra/a"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('rules:\n  - id: x\n    when: tenant = "a"\n    effect: permit', "f.yaml:3:18: rule f/x: when: token"),
        ('rules:\n  - id: x\n    when: "tenat == 1"\n    effect: permit', "f.yaml:3:12: rule f/x: when: unknown name"),
        (
            'rules:\n  - id: x\n    effect: permit\n    when: |\n      tenant == "a"\n        && rout == "b"',
            "f.yaml:6:12: rule f/x: when: unknown name 'rout'",
        ),
        (
            'rules:\n  - id: x\n    effect: permit\n    when: >\n      tenant == "a"\n      && rout == "b"',
            "f.yaml:6:10: rule f/x: when: unknown name 'rout'",
        ),
        ("rules:\n  - {id: x, effect: maybe}", "f.yaml:2:21: rule f/x: effect: Input should be"),
        ("rules:\n  - {id: x, effect: deny, foo: 1}", "f.yaml:2:32: rule f/x: foo: unknown field"),
        ("rules:\n  - {effect: deny}", "f.yaml:2:5: rule f/?: id: "),
        ("rules:\n  - {id: Ä, effect: deny}", "f.yaml:2:10: rule f/Ä: id: String should match"),
        ("rules:\n  - 7", "f.yaml:2:5: a rule is a mapping"),
        ("rules: 7", "f.yaml:1:8: 'rules' is a list"),
        ("rule: []", "f.yaml:1:1: unknown field 'rule'"),
        ("[]", "f.yaml:1:1: a rule file is a mapping"),
        ("a: [1\nb", "f.yaml:2:2: not YAML"),
        ("rules:\n  - id: !!python/name:os.system x\n    effect: deny", "f.yaml:2:9: not YAML: could not determine"),
        ("rules:\n  - {id: x, effect: oblige}", "f.yaml:2:21: rule f/x: effect: an oblige without"),
        (
            "rules:\n  - {id: x, effect: deny, regions: [eu]}",
            "f.yaml:2:21: rule f/x: effect: a deny has no obligations",
        ),
        ("rules:\n  - {id: x, effect: permit, regions: [eux]}", "f.yaml:2:38: rule f/x: regions: no deployment has"),
        ("rules:\n  - {id: x, effect: permit, vendors: [acme]}", "f.yaml:2:38: rule f/x: vendors: no deployment has"),
        ("rules:\n  - {id: x, effect: permit, regions: []}", "f.yaml:2:38: rule f/x: regions: Tuple should have"),
        ("rules:\n  - {id: x, effect: deny, when: input_tokens}", "f.yaml:2:33: rule f/x: when: the answer is 0"),
    ],
)
def test_a_fault_names_file_line_column_and_rule(tmp_path: Path, text: str, expected: str):
    found = faults(write(tmp_path, f=text))

    assert len(found) == 1
    assert found[0].startswith(expected)


def test_every_fault_of_every_file_is_listed_at_once(tmp_path: Path):
    broken = "rules:\n  - {id: x, effect: maybe}\n  - {id: y, effect: deny, when: nope}"

    assert len(faults(write(tmp_path, a=broken, b=broken))) == 4


def test_an_id_is_taken_once_within_a_file(tmp_path: Path):
    text = "rules:\n  - {id: x, effect: deny}\n  - {id: x, effect: deny}"

    assert faults(write(tmp_path, f=text)) == ["f.yaml:3:10: rule f/x: id: this id is taken by an earlier rule"]


def test_a_folder_without_rule_files_is_a_fault(tmp_path: Path):
    with pytest.raises(InvalidPolicies, match="without rules nothing is permitted"):
        load(tmp_path)
