"""Rules that imports alone do not show, read from the syntax of every module, each proven on a bad example."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

IMPURE_CALLS = {"now", "utcnow", "today", "uuid1", "uuid4", "open", "print", "input", "perf_counter", "monotonic"}

Rule = Callable[[ast.Module], list[str]]


ENVIRONMENT = {"environ", "environb", "getenv", "getenvb"}
EXEMPT = {"pytest_plugin.py"}
"""Reads the number that pytest-xdist gives to a worker process, which is no setting of ours."""


def reads_environment(module: ast.Module) -> list[str]:
    """Where a module reads the environment."""
    return [
        f"line {node.lineno}" for node in ast.walk(module) if isinstance(node, ast.expr | ast.stmt) and _reads(node)
    ]


def _reads(node: ast.expr | ast.stmt) -> bool:
    match node:
        case ast.Attribute(value=ast.Name(id="os"), attr=name):
            return name in ENVIRONMENT
        case ast.ImportFrom(module="os", names=names):
            return bool({alias.name for alias in names} & ENVIRONMENT)
        case _:
            return False


def calls_impure(module: ast.Module) -> list[str]:
    """Which calls of a module read a clock, draw lots or talk."""
    return [f"line {node.lineno}: {name}" for node, name in _calls(module) if name in IMPURE_CALLS]


def creates_at_import(module: ast.Module) -> list[str]:
    """Which clients a module builds when it is imported, where nobody can close them."""
    clients = {
        "create_pool",
        "Redis",
        "from_url",
        "ClientSession",
        "AsyncClient",
        "AIOKafkaProducer",
        "AIOKafkaConsumer",
    }
    return [
        f"line {node.lineno}: {name}"
        for statement in module.body
        if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        for node, name in _calls(statement)
        if name in clients
    ]


def swallows(module: ast.Module) -> list[str]:
    """Where every error is caught and forgotten."""
    return [
        f"line {node.lineno}"
        for node in ast.walk(module)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"})
        and all(isinstance(statement, ast.Pass | ast.Continue) for statement in node.body)
    ]


def _calls(tree: ast.AST) -> Iterator[tuple[ast.Call, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name)) | ast.Call(func=ast.Attribute(attr=name)):
                yield node, name
            case _:
                pass


def offenders(rule: Rule, paths: list[Path]) -> dict[str, list[str]]:
    found = {str(path): rule(ast.parse(path.read_text())) for path in paths}
    return {path: places for path, places in found.items() if places}


def test_only_settings_read_the_environment(sources: list[Path]):
    assert offenders(reads_environment, [path for path in sources if path.name not in EXEMPT | {"settings.py"}]) == {}


def test_decisions_read_no_clock_and_draw_no_lots(decisions: list[Path]):
    assert offenders(calls_impure, decisions) == {}


def test_nothing_is_created_at_import(sources: list[Path]):
    assert offenders(creates_at_import, sources) == {}


def test_no_error_is_swallowed_whole(sources: list[Path]):
    assert offenders(swallows, sources) == {}


@pytest.mark.parametrize(
    ("rule", "bad"),
    [
        (reads_environment, "import os\nhome = os.environ['HOME']"),
        (reads_environment, "import os\ndef f():\n    return os.getenv('HOME')"),
        (reads_environment, "from os import environ"),
        (calls_impure, "from datetime import datetime\ndef f():\n    return datetime.now()"),
        (calls_impure, "from uuid import uuid4\ndef f():\n    return uuid4()"),
        (calls_impure, "def f():\n    return open('x')"),
        (creates_at_import, "import asyncpg\npool = asyncpg.create_pool('x')"),
        (creates_at_import, "if True:\n    session = aiohttp.ClientSession()"),
        (swallows, "try:\n    f()\nexcept Exception:\n    pass"),
        (swallows, "for x in y:\n    try:\n        f()\n    except:\n        continue"),
    ],
)
def test_a_rule_notices_being_broken(rule: Rule, bad: str):
    assert rule(ast.parse(bad)) != []
