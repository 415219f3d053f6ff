"""What is kept of a trial that broke a promise: everything that is known of each request concerned, in order."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from allweather.drills.checker import Violation
from allweather.drills.evidence import Evidence

_MOST_REQUESTS: Final = 50


def write_findings(folder: Path, evidence: Evidence, violations: Sequence[Violation]) -> None:
    """A file with the violations, and one for each of the first requests that they name."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "violations.txt").write_text("".join(f"{violation}\n" for violation in violations))
    named = dict.fromkeys(violation.request_id for violation in violations if violation.request_id)
    for request in list(named)[:_MOST_REQUESTS]:
        (folder / f"{request}.txt").write_text("".join(f"{line}\n" for line in story(evidence, request)))


def story(evidence: Evidence, request: UUID) -> Iterator[str]:
    """Every piece of evidence about a request, as it stands."""
    attempts = {d.attempt_id for d in evidence.dispatched if d.request_id == request}
    yield from (f"submitted {at}" for at, submitted in evidence.submitted.items() if submitted == request)
    for field in fields(evidence):
        value: Any = getattr(evidence, field.name)
        if isinstance(value, tuple):
            yield from map(repr, _about(request, attempts, value))  # pyright: ignore[reportUnknownArgumentType]


def _about(request: UUID, attempts: set[UUID], pieces: Iterable[Any]) -> Iterator[Any]:
    """Most pieces name the request; a vendor's call only names the attempt."""
    for piece in pieces:
        if getattr(piece, "request_id", None) == request or getattr(piece, "attempt_id", None) in attempts:
            yield piece
