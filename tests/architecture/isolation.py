"""Does each service declare what it uses? A shared environment hides imports of packages that a service never names.

    python tests/architecture/isolation.py [folder ...]

For each service this builds an environment that holds the service and the packages that it declares, at the versions of
`requirements.lock`, and imports every module of it there; then adds the test tools, and runs its unit tests. Tests that
need the local stack are skipped: the stack is itself a package that the service does not declare.
"""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
SCRATCH = ROOT / ".state" / "isolation"
PYTEST = (
    "-o",
    "addopts=--import-mode=importlib --strict-config",
    "-p",
    "without_stack",
    "-p",
    "no:cacheprovider",
    "-q",
)
IMPORT_ALL = """
import importlib, pkgutil, sys
package = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""


def main(folders: list[str]) -> int:
    """Check the services in `folders`, else all; the exit code is the number of those that failed."""
    services = [ROOT / folder for folder in folders] or sorted(
        path.parent for path in ROOT.glob("services/*/pyproject.toml")
    )
    return sum(not isolated(service) for service in services)


def isolated(service: Path) -> bool:
    """Whether `service` works with what it declares."""
    module = f"allweather.{service.name.replace('-', '_')}"
    SCRATCH.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=SCRATCH, prefix=f"{service.name}-") as environment:
        python = _built(Path(environment), service)
        well = _ran(python, "-c", IMPORT_ALL, module) and _tested(python, service)
    sys.stderr.write(f"{service.name}: {'ok' if well else 'NOT ISOLATED'}\n")
    return well


def _built(environment: Path, service: Path) -> Path:
    """The Python of a new environment for `service`; packages are linked from uv's cache, which takes seconds."""
    python = environment / "bin" / "python"
    _uv("venv", "--clear", "--python", sys.executable, str(environment))
    _install(python, "-e", str(service))
    return python


def _tested(python: Path, service: Path) -> bool:
    """Whether its tests pass. The test tools bring packages of their own, which would hide what is not declared."""
    _install(python, "--group", "dev")
    return _ran(python, "-m", "pytest", *PYTEST, f"{service}/tests")


def _install(python: Path, *what: str) -> None:
    _uv("pip", "install", "--python", str(python), "--constraint", "requirements.lock", *what)


def _uv(*arguments: str) -> None:
    subprocess.run([BIN / "uv", *arguments, "--quiet"], cwd=ROOT, check=True)


def _ran(python: Path, *arguments: str) -> bool:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parent)}
    return subprocess.run([python, *arguments], cwd=ROOT, env=environment, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
