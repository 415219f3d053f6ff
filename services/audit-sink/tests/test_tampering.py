"""What an attacker with every right but the private key does to the log, and where `verify` points.

Each test starts from one log of two shards with three checkpoints each.
"""

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from allweather.audit_sink.adapters.archive import Archive
from allweather.audit_sink.checkpoints import Signer
from allweather.audit_sink.verification import Report, verify
from allweather.contracts import topics
from allweather.messaging import MemoryBroker, Message, Record

if TYPE_CHECKING:
    from conftest import World

HASH = "leaf_hash = sha256('\\x00'::bytea || convert_to(entry, 'UTF8'))"
FORGED = """replace(entry, '"effect":"permit"', '"effect":"deny"')"""
CLEARED = (
    "shard = 0 AND index = (SELECT min(index) FROM audit.entries WHERE shard = 0 AND topic = 'ai.internal.cleared.v1')"
)
SHIFT = 1_000_000


def found(report: Report, low: int | None, what: str) -> bool:
    """Whether a fault of shard 0 says `what` of exactly this index (or of no index)."""
    return any(
        fault.shard == 0 and fault.low == low and fault.high in (None, (low or 0) + 1) and what in fault.what
        for fault in report.faults
    )


async def index_of(world: "World", condition: str) -> int:
    async with world.postgres.pool.acquire() as connection:
        return await connection.fetchval(f"SELECT index FROM audit.entries WHERE {condition} ORDER BY index LIMIT 1")


async def size_of(world: "World", shard: int = 0) -> int:
    return (await world.tables.heads([shard]))[0].frontier.size


async def test_an_edited_entry_is_found(world: "World") -> None:
    await world.audit(8)
    at = await index_of(world, CLEARED)

    await world.tamper(f"UPDATE audit.entries SET entry = {FORGED} WHERE {CLEARED}")

    report = await world.verify()
    assert found(report, at, "does not have its leaf hash")
    assert len(report.faults) == 1


async def test_an_edited_entry_with_a_new_leaf_hash_is_found(world: "World") -> None:
    await world.audit(8)
    at = await index_of(world, CLEARED)

    await world.tamper(
        f"UPDATE audit.entries SET entry = {FORGED} WHERE {CLEARED}", f"UPDATE audit.entries SET {HASH} WHERE {CLEARED}"
    )

    report = await world.verify()
    assert found(report, at, "differs from its copy")
    assert any("signed root" in fault.what and (fault.low or 0) <= at < (fault.high or 0) for fault in report.faults)


async def test_an_edited_entry_whose_copies_are_gone_is_found_between_two_checkpoints(world: "World") -> None:
    """Nothing but the signatures is left to tell: they tell between which two checkpoints."""
    await world.audit(8)
    first = await size_of(world) // 3
    condition = f"shard = 0 AND index >= {first} AND topic = 'ai.internal.cleared.v1'"
    at = await index_of(world, condition)
    assert first <= at < 2 * first

    await world.tamper(
        f"UPDATE audit.entries SET entry = {FORGED} WHERE shard = 0 AND index = {at}",
        f"UPDATE audit.entries SET {HASH} WHERE shard = 0 AND index = {at}",
    )

    report = await verify(Archive(world.postgres), Without(world.broker), world.signer.verifier)
    assert [(fault.shard, fault.low, fault.high) for fault in report.faults] == [(0, first, 2 * first)]


async def test_an_edited_leaf_hash_is_found(world: "World") -> None:
    await world.audit(8)

    await world.tamper("UPDATE audit.entries SET leaf_hash = sha256('x') WHERE shard = 0 AND index = 9")

    assert found(await world.verify(), 9, "does not have its leaf hash")


async def test_a_removed_entry_is_found(world: "World") -> None:
    await world.audit(8)

    await world.tamper("DELETE FROM audit.entries WHERE shard = 0 AND index = 9")

    report = await world.verify()
    assert found(report, 9, "removed")
    assert not any("signed root" in fault.what for fault in report.faults)


async def test_a_removed_end_is_found(world: "World") -> None:
    await world.audit(8)
    size = await size_of(world)

    await world.tamper(f"DELETE FROM audit.entries WHERE shard = 0 AND index >= {size - 4}")

    assert [(f.low, f.high) for f in (await world.verify()).faults if f.what == "removed"] == [(size - 4, size)]


async def test_an_end_removed_from_every_table_is_found_by_the_topics(world: "World") -> None:
    await world.audit(8)
    size = await size_of(world)
    keep = size // 3 * 2

    await world.tamper(
        f"DELETE FROM audit.entries WHERE shard = 0 AND index >= {keep}",
        f"DELETE FROM audit.checkpoints WHERE shard = 0 AND size > {keep}",
        f"UPDATE audit.trees SET size = {keep}, published = {keep}, frontier = '' WHERE shard = 0",
    )

    report = await world.verify()
    assert (keep, size) in [(fault.low, fault.high) for fault in report.faults if fault.what == "removed"]
    assert found(report, None, f"checkpoint over {size} entries was removed")


async def test_an_entry_added_at_the_end_is_found(world: "World") -> None:
    await world.audit(8)
    size = await size_of(world)

    await world.tamper(
        f"INSERT INTO audit.entries SELECT shard, {size}, request_id, topic, source_offset, leaf_hash, entry"
        " FROM audit.entries WHERE shard = 0 AND index = 9"
    )

    report = await world.verify()
    assert found(report, size, "after the end of the tree")
    assert found(report, size, "index 9 stands here")


async def test_an_entry_put_between_others_is_found(world: "World") -> None:
    await world.audit(8)

    await world.tamper(
        f"UPDATE audit.entries SET index = index + {SHIFT} WHERE shard = 0 AND index >= 9",
        f"UPDATE audit.entries SET index = index - {SHIFT - 1} WHERE shard = 0 AND index >= {SHIFT}",
        "INSERT INTO audit.entries SELECT shard, 9, request_id, topic, source_offset, leaf_hash, entry"
        " FROM audit.entries WHERE shard = 0 AND index = 3",
    )

    assert found(await world.verify(), 9, "index 3 stands here")


async def test_two_exchanged_entries_are_found(world: "World") -> None:
    await world.audit(8)

    await world.tamper(
        f"UPDATE audit.entries SET index = {SHIFT} WHERE shard = 0 AND index = 3",
        "UPDATE audit.entries SET index = 3 WHERE shard = 0 AND index = 9",
        f"UPDATE audit.entries SET index = 9 WHERE shard = 0 AND index = {SHIFT}",
    )

    report = await world.verify()
    assert found(report, 3, "index 9 stands here")
    assert found(report, 9, "index 3 stands here")


@pytest.mark.parametrize(
    "edit", ["source_offset = source_offset + 1", "topic = 'ai.internal.other.v1'", "request_id = gen_random_uuid()"]
)
async def test_an_edited_column_is_found(world: "World", edit: str) -> None:
    """The columns by which an entry is found, and could be hidden."""
    await world.audit(8)

    await world.tamper(f"UPDATE audit.entries SET {edit} WHERE shard = 0 AND index = 9")

    assert found(await world.verify(), 9, "are not those of the entry")


async def test_an_edited_source_offset_is_found(world: "World") -> None:
    await world.audit(8)

    await world.tamper(
        "UPDATE audit.offsets SET next_offset = next_offset + 5"
        " WHERE partition = 0 AND topic = 'ai.internal.cleared.v1'"
    )

    assert found(await world.verify(), None, "ai.internal.cleared.v1: entries reach offset 12, the table says 17")


async def test_a_forgotten_source_offset_is_found(world: "World") -> None:
    await world.audit(8)

    await world.tamper("DELETE FROM audit.offsets WHERE partition = 0 AND topic = 'ai.internal.cleared.v1'")

    assert found(await world.verify(), None, "the table says None")


async def test_a_forged_checkpoint_is_found(world: "World") -> None:
    """Of another key, and with the words of the true one changed."""
    await world.audit(8)
    forger = Signer(world.signer.verifier.log, Ed25519PrivateKey.generate())
    size = await size_of(world)
    note = forger.sign(0, size, bytes(32), world.clock.now_ms() // 1000 + 1)

    await world.tamper(
        f"INSERT INTO audit.checkpoints (shard, size, signed_at, note) VALUES (0, {size}, now(), '{note}')",
        "UPDATE audit.checkpoints SET note = replace(note, E'/0\\n', E'/0\\n1') WHERE shard = 0 AND id <= 2",
    )

    report = await world.verify()
    assert [fault.what for fault in report.faults if "was not signed by this log" in fault.what] != []
    assert found(report, None, "was not signed by this log: a signature does not belong to the text")
    assert found(report, None, "was not signed by this log: no signature of")


async def test_a_forged_checkpoint_on_the_topic_is_found(world: "World") -> None:
    await world.audit(8)
    forger = Signer(world.signer.verifier.log, Ed25519PrivateKey.generate())

    note = forger.sign(0, 5, bytes(32), 0)
    await world.broker.publisher.publish([Message(topics.AUDIT_CHECKPOINTS, note.encode(), partition=0)])

    assert found(await world.verify(), None, "a checkpoint on the topic was not signed by this log")


async def test_a_fork_signed_by_the_log_itself_is_found(world: "World") -> None:
    """The key was stolen, or the sink lied: two roots for one size cannot both be right."""
    await world.audit(8)
    size = await size_of(world)

    note = world.signer.sign(0, size, bytes(32), world.clock.now_ms() // 1000 + 9)
    await world.tamper(
        f"INSERT INTO audit.checkpoints (shard, size, signed_at, note) VALUES (0, {size}, now(), '{note}')"
    )

    assert any("signed root" in fault.what for fault in (await world.verify()).faults)


async def test_an_old_checkpoint_put_at_the_end_is_found(world: "World") -> None:
    await world.audit(8)

    await world.tamper(
        "INSERT INTO audit.checkpoints (shard, size, signed_at, note)"
        " SELECT shard, size, now(), note FROM audit.checkpoints WHERE shard = 0 ORDER BY id LIMIT 1"
    )

    assert found(await world.verify(), None, "an old one was put there again")


async def test_a_checkpoint_under_another_size_is_found(world: "World") -> None:
    await world.audit(8)

    await world.tamper("UPDATE audit.checkpoints SET size = size + 1 WHERE shard = 0 AND id <= 2")

    assert found(await world.verify(), None, "stored under another size")


async def test_a_removed_checkpoint_is_found(world: "World") -> None:
    await world.audit(8)

    await world.tamper("DELETE FROM audit.checkpoints WHERE shard = 0 AND id <= 2")

    assert found(await world.verify(), None, "was removed from its table")


async def test_a_changed_node_is_found(world: "World") -> None:
    """It would make proofs fail, so it must not go unnoticed until one is asked for."""
    await world.audit(20)

    await world.tamper("UPDATE audit.nodes SET hash = sha256('x') WHERE shard = 0 AND number = 0")

    assert [(f.low, f.high) for f in (await world.verify()).faults] == [(0, 256)]


async def test_a_changed_frontier_is_found(world: "World") -> None:
    await world.audit(8)

    await world.tamper("UPDATE audit.trees SET frontier = '\\x00'::bytea || substr(frontier, 2) WHERE shard = 0")

    assert any("frontier" in fault.what for fault in (await world.verify()).faults)


async def test_a_second_different_copy_on_the_topic_is_found(world: "World") -> None:
    await world.audit(8)
    copy = next(record for record in world.broker.records(topics.AUDIT_ENTRIES) if record.partition == 0)
    value = (copy.value or b"").replace(b'"tenant":"demo"', b'"tenant":"evil"')

    await world.broker.publisher.publish([Message(topics.AUDIT_ENTRIES, value, partition=0)])

    assert found(await world.verify(), 0, "two different copies")


async def test_a_record_that_is_no_longer_the_one_that_was_entered_is_found(world: "World") -> None:
    await world.audit(8)
    report = await verify(Archive(world.postgres), Rewritten(world.broker), world.signer.verifier)

    assert found(report, None, "ai.internal.cleared.v1 at offset 3 is not the record that was entered")
    assert len(report.faults) == 1


async def test_ten_clean_logs_raise_no_alarm(world: "World") -> None:
    for _ in range(10):
        await world.audit(1, rounds=1)

        assert (await world.verify()).faults == []


class Without(MemoryBroker):
    """The same broker, when its audit topics have been emptied."""

    def __init__(self, broker: MemoryBroker) -> None:
        super().__init__()
        self._broker = broker

    def partitions(self, topic: str) -> int | None:
        return self._broker.partitions(topic)

    async def read_all(self, topics: Sequence[str]) -> AsyncIterator[Record]:
        async for record in self._broker.read_all([topic for topic in topics if not topic.startswith("ai.audit.")]):
            yield record


class Rewritten(Without):
    """The same broker, when somebody has rewritten a record on its disk."""

    async def read_all(self, topics: Sequence[str]) -> AsyncIterator[Record]:
        async for record in self._broker.read_all(topics):
            if (record.topic, record.partition, record.offset) == ("ai.internal.cleared.v1", 0, 3):
                yield Record(record.topic, 0, 3, record.timestamp_ms, record.key, b"{}", record.headers)
            else:
                yield record
