"""The contracts of `.importlinter` hold, and each of them would notice being broken."""

import configparser
import json
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

CONFIGURATION = Path(__file__).parents[2] / ".importlinter"


def decisions() -> list[str]:
    """The modules and packages whose decisions must be pure."""
    configuration = configparser.ConfigParser()
    configuration.read(CONFIGURATION)
    return configuration["importlinter:contract:decisions"]["source_modules"].split()


Case = tuple[str | None, dict[str, str]]

BREAKS: list[Case] = [
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
    *(
        ("decisions", {f"{module.removeprefix('allweather.').replace('.', '/')}": "import time"})
        for module in decisions()
    ),
    ("decisions", {"router/routing.py": "import random"}),
    ("decisions", {"router/lifecycle.py": "import allweather.router.spy", "router/spy.py": "import asyncpg"}),
    ("decisions", {"policy/rules.py": "from allweather.telemetry import metrics"}),
    ("vendors", {"provider_worker/vendors/a.py": "from . import b", "provider_worker/vendors/b.py": "B = 1"}),
    ("prices", {"router/spy.py": "from genai_prices import calc_price"}),
    ("prices", {"prices/locking.py": "import genai_prices"}),
    ("metrics", {"router/spy.py": "from prometheus_client import Counter"}),
    ("metrics", {"runtime/spy.py": "import prometheus_client"}),
]


LABELS = [f"{contract}-{next(iter(added))}-{number}" for number, (contract, added) in enumerate(BREAKS)]


@pytest.fixture(scope="module")
def copied(members: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of `allweather` in one folder, to be broken."""
    tree = tmp_path_factory.mktemp("tree")
    for member in members:
        shutil.copytree(member / "src", tree, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    return tree


@pytest.fixture(scope="module")
def linted(copied: Path) -> list[tuple[int, str]]:
    """How the linter ended and what it said: first of the copy as it is, then of each break."""
    cases: list[Case] = [(None, {}), *BREAKS]
    asked = {"config": str(CONFIGURATION), "tree": str(copied), "cases": cases}
    program = Path(__file__).with_name("lint_breaks.py")
    # -S: without site the copy is the only `allweather` that can be found
    said = subprocess.run(
        [sys.executable, "-S", str(program)],
        input=json.dumps(asked),
        env={"PYTHONPATH": f"{copied}:{sysconfig.get_path('purelib')}", "PATH": ""},
        cwd=copied,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return json.loads(said.stdout)


def test_the_contracts_hold(linted: list[tuple[int, str]]):
    code, said = linted[0]

    assert code == 0, said


@pytest.mark.parametrize("number", range(len(BREAKS)), ids=LABELS)
def test_a_contract_notices_being_broken(linted: list[tuple[int, str]], number: int):
    code, said = linted[1 + number]

    assert code == 1, said
    assert "0 kept, 1 broken" in said
