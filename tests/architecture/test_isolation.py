import shutil
import subprocess
import sys
from pathlib import Path


def test_an_import_that_a_member_does_not_declare_is_noticed(root: Path, tmp_path: Path):
    """`allweather.failpoints` declares no package at all; its copy imports one that the shared environment holds."""
    honest = root / "libs" / "failpoints"
    undeclared = tmp_path / "failpoints"
    shutil.copytree(honest, undeclared, ignore=shutil.ignore_patterns("__pycache__"))
    (undeclared / "src/allweather/failpoints/spy.py").write_text("import pydantic\n")

    checked = [
        subprocess.run(
            [sys.executable, "tests/architecture/isolation.py", str(member)],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=120,
        )
        for member in (honest, undeclared)
    ]

    assert [check.returncode for check in checked] == [0, 1], [check.stderr for check in checked]
    assert "No module named 'pydantic'" in checked[1].stderr
