"""The contracts of `.importlinter` hold, and each of them would notice being broken."""

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Lint = Callable[..., "subprocess.CompletedProcess[str]"]

DECISIONS = (
    "audit_sink/merkle.py",
    "policy/rules.py",
    "router/breaker.py",
    "router/lifecycle.py",
    "router/routing.py",
)

BREAKS = [
    ("layers", {"policy/spy.py": "import allweather.router"}),
    ("layers", {"router/spy.py": "def later() -> None:\n    import allweather.ingest\n"}),
    ("layers", {"messaging/spy.py": "from allweather.telemetry import metrics"}),
    ("layers", {"runtime/spy.py": "import allweather.messaging"}),
    ("layers", {"telemetry/spy.py": "import allweather.audit_sink"}),
    ("layers", {"contracts/spy.py": "import allweather.messaging"}),
    ("layers", {"contracts/spy.py": "import allweather.failpoints"}),
    ("layers", {"policy/spy.py": "import allweather.drills"}),
    ("layers", {"newcomer/__init__.py": '"""A member that nobody has placed."""'}),
    ("kafka-client", {"router/spy.py": "import aiokafka"}),
    ("kafka-client", {"local/spy.py": "from aiokafka.admin import NewTopic"}),
    ("kafka-client", {"messaging/kafka/spy.py": "import aiokafka"}),
    ("kafka-client", {"drills/spy.py": "import confluent_kafka"}),
    *(("decisions", {module: "import time"}) for module in DECISIONS),
    ("decisions", {"router/routing.py": "import random"}),
    ("decisions", {"router/lifecycle.py": "import allweather.router.spy", "router/spy.py": "import asyncpg"}),
    ("decisions", {"policy/rules.py": "from allweather.telemetry import metrics"}),
    ("vendors", {"provider_worker/vendors/a.py": "from . import b", "provider_worker/vendors/b.py": "B = 1"}),
    ("metrics", {"router/spy.py": "from prometheus_client import Counter"}),
    ("metrics", {"runtime/spy.py": "import prometheus_client"}),
]


@pytest.fixture(scope="module")
def copied(members: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of `allweather` in one folder, to be broken."""
    tree = tmp_path_factory.mktemp("tree")
    for member in members:
        shutil.copytree(member / "src", tree, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    return tree


@pytest.fixture
def lint(copied: Path, root: Path, tmp_path: Path) -> Iterator[Lint]:
    """Lints the copy with lines added to some of its modules, and takes them out again."""
    before: dict[Path, str | None] = {}

    def run(added: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
        for name, lines in added.items():
            path = copied / "allweather" / name
            before[path] = path.read_text() if path.exists() else None
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{before[path] or ''}\n{lines}\n")
        program = "from importlinter.cli import lint_imports_command as lint; lint()"
        arguments = ("--config", str(root / ".importlinter"), "--no-cache", *arguments)
        # -S: without site the copy is the only `allweather` that can be found
        return subprocess.run(
            [sys.executable, "-S", "-c", program, *arguments],
            env={"PYTHONPATH": f"{copied}:{sysconfig.get_path('purelib')}", "PATH": ""},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )

    yield run
    for path, text in before.items():
        if text is not None:
            path.write_text(text)
        elif path.name == "__init__.py":
            shutil.rmtree(path.parent)
        else:
            path.unlink()


def test_the_contracts_hold(lint: Lint):
    linted = lint({})

    assert linted.returncode == 0, linted.stdout + linted.stderr


@pytest.mark.parametrize(
    ("contract", "added"), BREAKS, ids=[f"{c}-{next(iter(a))}-{n}" for n, (c, a) in enumerate(BREAKS)]
)
def test_a_contract_notices_being_broken(lint: Lint, contract: str, added: dict[str, str]):
    linted = lint(added, "--contract", contract)

    assert linted.returncode == 1, linted.stdout + linted.stderr
    assert "1 broken" in linted.stdout
