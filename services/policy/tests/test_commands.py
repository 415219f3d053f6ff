"""`allweather policy`: what an operator sees before a rule goes live."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from allweather.cli.output import CommandFailed
from allweather.policy.commands import app

CONFIG = str(Path(__file__).parents[3] / "config")


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def test_check_accepts_the_rules_of_this_repository():
    code, out = run("check", "--json", CONFIG)

    assert code == 0
    assert json.loads(out)["valid"] is True
    assert "models/demo" in json.loads(out)["rules"]


def test_check_lists_faults_and_fails(tmp_path: Path):
    (tmp_path / "a.yaml").write_text("rules:\n  - {id: x, effect: deny, when: nope}")

    code, out = run("check", "--json", str(tmp_path))
    spoken = run("check", str(tmp_path))[1]

    (fault,) = json.loads(out)["faults"]
    assert code == 1
    assert (fault["line"], fault["column"], fault["rule"]) == (2, 33, "a/x")
    assert "a.yaml:2:33: rule a/x: when: unknown name 'nope'" in spoken


def test_explain_says_what_decided():
    given = ("--tenant", "demo", "--route", "triage", "--data-class", "personal-eu", "--config", CONFIG)

    code, out = run("explain", *given, "--json")

    found = json.loads(out)
    assert code == 0
    assert found["verdict"]["effect"] == "permit"
    assert found["verdict"]["regions"] == ["eu"]
    assert found["rules"]["residency/personal-eu"] == "holds"
    assert found["rules"]["models/other"] == "does not hold"


@pytest.mark.parametrize(
    ("route", "part"),
    [("claude-opus-4-6", "deny: This model is not called directly"), ("gpt-9", "invalid: The model 'gpt-9' does not")],
)
def test_explain_gives_the_reason_of_a_no(route: str, part: str):
    assert part in run("explain", "--tenant", "demo", "--route", route, "--config", CONFIG)[1]


def test_a_folder_without_configuration_is_told_in_one_line(tmp_path: Path):
    with pytest.raises(CommandFailed, match=r"catalogue\.yaml"):
        run("explain", "--tenant", "demo", "--route", "triage", "--config", str(tmp_path))
