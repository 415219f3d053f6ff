"""Verify the audit log, explain a request from it, prove an entry of it."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar
from uuid import UUID

import typer
from rich.text import Text

from allweather.audit_sink.adapters.archive import Archive
from allweather.audit_sink.adapters.keys import read_verifier
from allweather.audit_sink.checkpoints import Verifier
from allweather.audit_sink.merkle import InvalidProof
from allweather.audit_sink.proofs import Proof
from allweather.audit_sink.proving import Kept, entries_of
from allweather.audit_sink.settings import AuditorSettings, VerifierSettings
from allweather.audit_sink.story import Story, tell
from allweather.audit_sink.verification import Report
from allweather.audit_sink.verification import verify as verify_log
from allweather.cli.output import emit, fail, progress
from allweather.contracts.model import iso_time
from allweather.messaging import Connection, KafkaBroker
from allweather.runtime.postgres import open_postgres
from allweather.runtime.settings import Environment, SettingsError

app = typer.Typer(no_args_is_help=True, help=__doc__, add_completion=False)

AsJson = Annotated[bool, typer.Option("--json", help="One line of JSON.")]
RequestId = Annotated[str, typer.Argument(metavar="REQUEST", help="`req_...`, as the caller knows it, or the UUID.")]

S = TypeVar("S", bound=Environment)


@app.command()
def verify(as_json: AsJson = False) -> None:
    """Recompute the whole log, and compare it with its signatures, its copies and the pipeline's topics."""
    report = asyncio.run(_verified())
    emit(report.to_plain(), as_json=as_json, shown=_shown(_report_lines(report)))
    raise typer.Exit(0 if report.verified else 1)


@app.command()
def explain(request: RequestId, as_json: AsJson = False) -> None:
    """Tell what happened to a request, step by step and why, and prove that this is what the log holds."""
    kept, verifier = asyncio.run(_entries(_request_id(request)))
    story = tell(json.loads(entry.entry) for entry in kept)
    proven = _proven(kept, verifier)
    emit(story.to_plain() | {"proof": proven}, as_json=as_json, shown=_shown(_story_lines(story, proven)))
    raise typer.Exit(0 if proven["verified"] else 1)


@app.command()
def prove(request: RequestId) -> None:
    """Write the entries of a request with their proofs of inclusion, which `check` verifies without the log."""
    kept, verifier = asyncio.run(_entries(_request_id(request)))
    if open_entries := [entry for entry in kept if entry.proof is None]:
        fail(f"{len(open_entries)} of {len(kept)} entries have no signed checkpoint yet; try again in a second")
    proofs = [entry.proof.to_plain() for entry in kept if entry.proof]
    keys = sorted({verifier.verifier_key(entry.shard) for entry in kept})
    emit({"log": verifier.log, "verifier_keys": keys, "entries": proofs}, as_json=True)


@app.command()
def check(
    file: Annotated[typer.FileText, typer.Argument(help="What `prove` wrote; `-` reads standard input.")],
    key: Annotated[Path | None, typer.Option(help="File with the log's public key.")] = None,
    as_json: AsJson = False,
) -> None:
    """Verify proofs with the public key alone: no database, no broker."""
    verifier = _verifier(_settings(VerifierSettings), key)
    try:
        proofs = [Proof.from_plain(plain) for plain in json.load(file)["entries"]]
        sizes = [proof.verify(verifier).checkpoint.size for proof in proofs]
    except (InvalidProof, ValueError, KeyError, TypeError) as error:
        fail(f"not proven: {error}")
    covered = f"{len(proofs)} entries are in the log, under checkpoints over {', '.join(map(str, sizes))} entries"
    emit({"proven": True, "entries": len(proofs)}, as_json=as_json, shown=covered)


async def _verified() -> Report:
    settings = _settings(AuditorSettings)
    verifier = _verifier(settings)
    progress(f"verifying {verifier.log}")
    async with (
        _archive(settings) as archive,
        KafkaBroker(Connection(settings.kafka_bootstrap, client_id="auditor")) as broker,
    ):
        return await verify_log(archive, broker, verifier, lambda what, done: progress(f"{done} {what}"))


async def _entries(request_id: UUID) -> tuple[Sequence[Kept], Verifier]:
    settings = _settings(AuditorSettings)
    async with _archive(settings) as archive, archive.snapshot() as snapshot:
        kept = await entries_of(snapshot, request_id)
    if not kept:
        fail(f"the log has no entry of request {request_id}")
    return kept, _verifier(settings)


@asynccontextmanager
async def _archive(settings: AuditorSettings) -> AsyncGenerator[Archive]:
    async with open_postgres(settings.postgres_dsn, name="auditor", connections=1) as postgres:
        yield Archive(postgres)


def _settings(kind: type[S]) -> S:
    try:
        return kind.load()
    except SettingsError as error:
        fail("; ".join(error.problems))


def _verifier(settings: VerifierSettings, key: Path | None = None) -> Verifier:
    try:
        return read_verifier(key or settings.audit_public_key_file, settings.audit_log)
    except SettingsError as error:
        fail("; ".join(error.problems))


def _request_id(text: str) -> UUID:
    """The id in `req_<uuid>_<tag>`, or in a bare UUID. The tag is for callers; an auditor may see every request."""
    try:
        return UUID(text.removeprefix("req_").partition("_")[0])
    except ValueError:
        fail(f"{text!r} is not a request id: give `req_...` as the caller knows it, or the UUID")


def _proven(kept: Sequence[Kept], verifier: Verifier) -> dict[str, Any]:
    """How the entries stand to the signed checkpoints."""
    checkpoints: dict[tuple[int, int], dict[str, Any]] = {}
    failures: list[str] = []
    for entry in kept:
        if entry.proof is None:
            continue
        try:
            signed = entry.proof.verify(verifier)
        except InvalidProof as error:
            failures.append(f"shard {entry.shard}, index {entry.index}: {error}")
        else:
            size, signed_at = signed.checkpoint.size, iso_time(signed.signed_at_s * 1000)
            checkpoints[entry.shard, size] = {"shard": entry.shard, "size": size, "signed_at": signed_at}
    return {
        "verified": not failures,
        "entries": len(kept),
        "covered": sum(entry.proof is not None for entry in kept),
        "checkpoints": list(checkpoints.values()),
        "failures": failures,
    }


def _shown(lines: Iterable[str]) -> Text:
    """Lines for people. What came from outside cannot speak to their terminal."""
    return Text(
        "\n".join("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line) for line in lines)
    )


def _report_lines(report: Report) -> Iterable[str]:
    yield f"{report.entries} entries in {report.shards} shards, {report.checkpoints} signed checkpoints"
    yield f"compared with {report.copies} copies on their topic and {report.records} records of the pipeline"
    yield f"{report.pending} records have no entry yet"
    for shard, index in report.gaps:
        yield f"records were gone before they could be entered: shard {shard}, index {index} says which"
    for fault in report.faults:
        yield f"FAULT  {fault.where}: {fault.what}"
    yield "verified: the log is what was signed" if report.verified else f"NOT verified: {len(report.faults)} faults"


def _story_lines(story: Story, proven: dict[str, Any]) -> Iterable[str]:
    yield f"request {story.request_id} of tenant {story.tenant}"
    yield story.summary
    yield ""
    for step in story.steps:
        yield f"{iso_time(step.at_ms)}  {step.what}"
        for detail in (*step.details, f"entry {step.index} of shard {step.shard}"):
            yield f"{'':26}{detail}"
    yield ""
    for failure in proven["failures"]:
        yield f"NOT PROVEN  {failure}"
    for at in proven["checkpoints"]:
        yield f"proven by the checkpoint over {at['size']} entries of shard {at['shard']}, signed {at['signed_at']}"
    if waiting := proven["entries"] - proven["covered"]:
        yield f"{waiting} entries have no signed checkpoint yet"
