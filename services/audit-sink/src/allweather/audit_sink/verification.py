"""`allweather audit verify`: the whole log, recomputed and compared with everything that can be compared with it.

The order matters while the sink goes on: first the copies, then the tables, then the sources. What was copied before
must be in the tables, and what is in the tables must still be what its topic holds.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from allweather.audit_sink.adapters.archive import Archive, Snapshot
from allweather.audit_sink.checkpoints import Verifier
from allweather.audit_sink.checks import Copies, Fault, ShardCheck
from allweather.contracts import topics
from allweather.messaging import Broker, Record

Watch = Callable[[str, int], None]
"""Told what is being done, and how many of it are done."""

_EVERY = 10_000


@dataclass(frozen=True, slots=True)
class Report:
    """What was compared, and what was found."""

    shards: int = 0
    entries: int = 0
    checkpoints: int = 0
    copies: int = 0
    """Copies of entries on their topic."""
    records: int = 0
    """Records that their topics still hold, and that have an entry."""
    pending: int = 0
    """Records that have no entry yet."""
    gaps: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """Entries, by shard and index, which say that records were gone before they could be entered."""
    faults: list[Fault] = field(default_factory=list[Fault])

    @property
    def verified(self) -> bool:
        return not self.faults

    def to_plain(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "verified": self.verified,
            **{name: getattr(self, name) for name in ("shards", "entries", "checkpoints", "copies", "records")},
            "pending": self.pending,
            "gaps": [{"shard": shard, "index": index} for shard, index in self.gaps],
            "faults": [
                {"shard": fault.shard, "low": fault.low, "high": fault.high, "where": fault.where, "what": fault.what}
                for fault in self.faults
            ],
        }


async def verify(archive: Archive, broker: Broker, verifier: Verifier, watch: Watch = lambda _what, _n: None) -> Report:
    """Compare everything. Needs the public key, and read access to the tables and topics."""
    copies, copied = await _copies(broker, watch)
    async with archive.snapshot() as snapshot:
        shards = sorted({*await snapshot.shards(), *copies})
        checks = [await _check(snapshot, shard, copies[shard], verifier, watch) for shard in shards]
    records, pending = await _sources(broker, {check.shard: check for check in checks}, watch)
    return Report(
        shards=len(checks),
        entries=sum(check.entries for check in checks),
        checkpoints=sum(check.signatures for check in checks),
        copies=copied,
        records=records,
        pending=pending,
        gaps=[(check.shard, index) for check in checks for index in check.gaps],
        faults=[fault for check in checks for fault in check.faults],
    )


class _Copied(dict[int, Copies]):
    """The copies of each shard, none at first."""

    def __missing__(self, shard: int) -> Copies:
        self[shard] = copies = Copies(shard)
        return copies


async def _copies(broker: Broker, watch: Watch) -> tuple[_Copied, int]:
    copies, copied = _Copied(), 0
    async for record in broker.read_all([topics.AUDIT_ENTRIES]):
        copies[record.partition].entry(record.value or b"")
        copied += 1
        _tell(watch, "copies of entries read", copied)
    async for record in broker.read_all([topics.AUDIT_CHECKPOINTS]):
        copies[record.partition].note(record.value or b"")
    return copies, copied


async def _check(snapshot: Snapshot, shard: int, copies: Copies, verifier: Verifier, watch: Watch) -> ShardCheck:
    check = ShardCheck(
        shard,
        tree=await snapshot.tree(shard),
        nodes=await snapshot.nodes(shard),
        checkpoints=await snapshot.checkpoints(shard),
        copies=copies,
        verifier=verifier,
    )
    async for page in snapshot.rows(shard):
        for row in page:
            check.row(row)
        watch(f"entries of shard {shard} recomputed", check.entries)
    check.finish(await snapshot.offsets(shard))
    return check


async def _sources(broker: Broker, checks: dict[int, ShardCheck], watch: Watch) -> tuple[int, int]:
    names = sorted({topic for check in checks.values() for topic in check.sources})
    compared = pending = 0
    async for record in broker.read_all(_existing(broker, names)):
        if _entered(checks, record):
            compared += 1
        else:
            pending += 1
        _tell(watch, "records of the pipeline compared", compared)
    return compared, pending


def _existing(broker: Broker, names: Iterable[str]) -> list[str]:
    return [name for name in names if broker.partitions(name) is not None]


def _entered(checks: dict[int, ShardCheck], record: Record) -> bool:
    return record.partition in checks and checks[record.partition].record(record)


def _tell(watch: Watch, what: str, done: int) -> None:
    if not done % _EVERY:
        watch(what, done)
