"""Results: one file for each scenario, which its next trial replaces, and one table of all of them."""

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

REPORTS: Final = Path(__file__).parents[3] / "bench" / "reports" / "faults"
_TOLD: Final = 20
_OUT: Final = Path(__file__).parents[3] / "bench" / "out" / "faults"


class Result(msgspec.Struct, frozen=True):
    """What came of one trial."""

    scenario: str
    what: str
    at: str
    commit: str
    seed: int
    thorough: bool
    seconds: float
    figures: dict[str, Any]
    bars: dict[str, str]
    missed: list[str]
    violations: list[str]

    @property
    def kept(self) -> bool:
        """Whether every promise and every bar was kept."""
        return not self.missed and not self.violations


def write(result: Result) -> Path:
    """Keep a full trial among the reports; a short one proves less and is kept out of version control."""
    folder = REPORTS if result.thorough else _OUT
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{result.scenario}.json"
    file.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")
    (folder / "README.md").write_text("\n".join(_page(_all(folder))) + "\n")
    return file


def shown(result: Result) -> Iterable[str]:
    """The figures line by line, and what was missed."""
    yield f"{result.scenario}: {'kept' if result.kept else 'BROKEN'} ({result.seconds:g} s, seed {result.seed})"
    for name, value in result.figures.items():
        bar = f"   ({result.bars[name]})" if name in result.bars else ""
        yield f"  {name:<34}{value!s:>12}{bar}"
    yield from (f"  MISSED {sentence}" for sentence in result.missed)
    yield from (f"  BROKEN {violation}" for violation in result.violations)


def told(violations: Sequence[object]) -> list[str]:
    """The first of them, and how many more there are: `findings/` has them all."""
    more = len(violations) - _TOLD
    return [str(violation) for violation in violations[:_TOLD]] + ([f"and {more} more"] if more > 0 else [])


def commit() -> str:
    """The commit that is tried, marked when the tree differs from it in more than reports."""
    at = _git("rev-parse", "--short=12", "HEAD")
    changed = _git("status", "--porcelain", "--", ":/", ":(top,exclude)bench/reports")
    return f"{at}-dirty" if changed else at or "unknown"


def _git(*words: str) -> str:
    return subprocess.run(("git", *words), capture_output=True, text=True, check=False).stdout.strip()


def _all(folder: Path) -> list[Result]:
    return [msgspec.json.decode(file.read_bytes(), type=Result) for file in sorted(folder.glob("*.json"))]


def _page(results: Iterable[Result]) -> Iterable[str]:
    yield "# Fault trials"
    yield ""
    yield "Written by `make test-faults`: the last full trial of each scenario, its figures in the file of its name."
    yield ""
    yield "| scenario | what happened | kept | requests | lost | conflicting | seconds | at | commit |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for result in results:
        figures = result.figures
        yield (
            f"| [{result.scenario}]({result.scenario}.json) | {result.what} | {'yes' if result.kept else '**no**'} |"
            f" {figures.get('requests', '')} | {figures.get('lost', '')} | {figures.get('conflicting_outcomes', '')} |"
            f" {result.seconds:g} | {result.at} | {result.commit} |"
        )
