"""`allweather audit prove`: the entries of a request, each with its proof of inclusion."""

from dataclasses import dataclass
from uuid import UUID

from allweather.audit_sink.adapters.archive import Snapshot
from allweather.audit_sink.merkle import inclusion_path
from allweather.audit_sink.proofs import Proof


@dataclass(frozen=True, slots=True)
class Kept:
    """An entry as the table holds it, and its proof once a checkpoint covers it."""

    shard: int
    index: int
    entry: bytes
    proof: Proof | None


async def entries_of(snapshot: Snapshot, request_id: UUID) -> list[Kept]:
    """Every entry of a request. The proofs are made, not checked: `Proof.verify` does that, with the public key."""
    return [await _kept(snapshot, *row) for row in await snapshot.of_request(request_id)]


async def _kept(snapshot: Snapshot, shard: int, index: int, entry: bytes) -> Kept:
    checkpoint = await snapshot.covering(shard, index)
    if checkpoint is None:
        return Kept(shard, index, entry, None)
    hashes = await snapshot.proof(shard, inclusion_path(index, checkpoint.size))
    return Kept(shard, index, entry, Proof(shard, index, entry, tuple(hashes), checkpoint.note))
