"""The command line as its user meets it: packages that register commands, good ones and broken ones."""

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import NamedTuple

import pytest

from allweather.cli import app, commands
from allweather.cli.commands import GROUP, help_line

TREE = '''"""Prove what happened.

More about it.
"""
import typer
from allweather.cli.output import emit, fail, progress

app = typer.Typer()

@app.command()
def verify(as_json: bool = typer.Option(False, "--json")) -> None:
    """Verify the log."""
    progress("reading")
    emit({"entries": 3, "name": "Zoë"}, as_json=as_json)

@app.command()
def explain(request: str) -> None:
    """Explain a request."""
    fail(f"no request {request}")

def status(times: int = 1) -> None:
    """Say how everything is.

    At length.
    """
    emit("fine " * times, as_json=False)

def crash() -> None:
    """Fall over."""
    raise RuntimeError("of its own")

def several() -> None:
    """Fall over in several places."""
    raise ExceptionGroup("tasks", [ValueError("one"), ExceptionGroup("more", [KeyError("two")])])

answer = 42
'''


class Said(NamedTuple):
    code: int
    out: str
    err: str


Shell = Callable[..., Said]


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package that has been installed with commands, and one that is broken."""
    (tmp_path / "plug_tree.py").write_text(TREE)
    (tmp_path / "plug_broken.py").write_text('"""Looks well."""\nimport no_such_thing_anywhere\n')
    (tmp_path / "plug_garbled.py").write_text("def (:\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    importlib.invalidate_caches()
    entries = [
        EntryPoint("audit", "plug_tree:app", GROUP),
        EntryPoint("status", "plug_tree:status", GROUP),
        EntryPoint("crash", "plug_tree:crash", GROUP),
        EntryPoint("several", "plug_tree:several", GROUP),
        EntryPoint("answer", "plug_tree:answer", GROUP),
        EntryPoint("broken", "plug_broken:app", GROUP),
        EntryPoint("garbled", "plug_garbled:app", GROUP),
        EntryPoint("absent", "plug_absent.inner:app", GROUP),
    ]

    def entry_points(*, group: str) -> list[EntryPoint]:
        return entries if group == GROUP else []

    monkeypatch.setattr(commands, "entry_points", entry_points)
    yield
    for name in ("plug_tree", "plug_broken", "plug_garbled"):
        sys.modules.pop(name, None)


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Runs `allweather <arguments>`."""

    def run(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["allweather", *arguments])
        with pytest.raises(SystemExit) as ended:
            app.main()
        said = capsys.readouterr()
        return Said(int(ended.value.code or 0), said.out, said.err)

    return run


def test_help_lists_every_command_without_importing_any(shell: Shell):
    said = shell("--help")

    listed = {line.split()[0]: line for line in said.out.splitlines() if line.startswith("  ")}
    assert said.code == 0
    assert "Prove what happened." in listed["audit"]
    assert "Say how everything is." in listed["status"]
    assert "Looks well." in listed["broken"]
    assert "cannot be loaded" in listed["garbled"]
    assert "cannot be loaded" in listed["absent"]
    assert not {"plug_tree", "plug_broken", "plug_garbled"} & set(sys.modules)


def test_a_typer_becomes_a_group_of_commands(shell: Shell):
    said = shell("audit", "verify")

    assert said.code == 0
    assert "entries: 3" in said.out


def test_json_is_one_line_on_standard_output_and_progress_is_not_in_it(shell: Shell):
    said = shell("audit", "verify", "--json")

    assert json.loads(said.out) == {"entries": 3, "name": "Zoë"}
    assert said.out.count("\n") == 1
    assert said.err == "reading\n"


def test_a_function_becomes_a_command_with_its_options(shell: Shell):
    assert shell("status", "--times", "2").out.strip() == "fine fine"


def test_a_failed_command_says_one_line_and_exits_1(shell: Shell):
    assert shell("audit", "explain", "r-1") == Said(1, "", "allweather: no request r-1\n")


def test_an_unforeseen_failure_is_one_line_too(shell: Shell):
    assert shell("crash") == Said(1, "", "allweather: RuntimeError: of its own\n")


def test_of_several_failures_each_is_a_line(shell: Shell):
    assert shell("several").err == "allweather: ValueError: one\nallweather: KeyError: 'two'\n"


def test_debug_shows_where_a_failure_came_from(shell: Shell):
    assert "plug_tree.py" in shell("--debug", "crash").err


@pytest.mark.parametrize("arguments", [("nonsense",), ("status", "--nonsense"), ("audit", "explain"), ("audit",), ()])
def test_wrong_use_exits_2(shell: Shell, arguments: tuple[str, ...]):
    assert shell(*arguments).code == 2


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("broken", "plug_broken:app cannot be loaded: ModuleNotFoundError: No module named 'no_such_thing_anywhere'"),
        ("garbled", "plug_garbled:app cannot be loaded: SyntaxError"),
        ("absent", "plug_absent.inner:app cannot be loaded: ModuleNotFoundError"),
        ("answer", "plug_tree:answer is neither a typer.Typer nor a function"),
    ],
)
def test_a_broken_package_is_told_in_one_line(shell: Shell, name: str, complaint: str):
    said = shell(name)

    assert said.code == 1
    assert said.err.startswith(f"allweather: {complaint}")
    assert said.err.count("\n") == 1


def test_version_is_that_of_the_package(shell: Shell):
    said = shell("--version")

    assert said.code == 0
    assert said.out.startswith("allweather 0.")


def test_the_help_line_of_a_module_without_words_is_empty(tmp_path: Path):
    (tmp_path / "plug_silent.py").write_text("app = None\n")

    assert help_line(EntryPoint("silent", "plug_silent:app", GROUP)) == ""
