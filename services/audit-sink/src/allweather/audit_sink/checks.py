"""Is the log what it says it is? Every rule by which a change of it is detected, and located. Pure.

An attacker may change any table and any topic, but holds no private key. So what is true is what hashes up to a signed
root; the copies on topics and the entries' own words for their place tell where a lie begins.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import UUID

from allweather.audit_sink.checkpoints import InvalidCheckpoint, Signed, Verifier
from allweather.audit_sink.entries import FINGERPRINT_BYTES, GAP, Entry, decode
from allweather.audit_sink.merkle import HASH_BYTES, Frontier, Place, grow, leaf_hash
from allweather.audit_sink.reading import fingerprint_of
from allweather.audit_sink.slots import Slots
from allweather.messaging.types import Record

_UNKNOWN: Final = bytes(HASH_BYTES)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that an untouched log cannot show, and where."""

    shard: int
    what: str
    low: int | None = None
    """The first index concerned; None where it is not about entries."""
    high: int | None = None
    """The index after the last one concerned."""

    @property
    def where(self) -> str:
        if self.low is None:
            return f"shard {self.shard}"
        only = self.high is None or self.high == self.low + 1
        return f"shard {self.shard}, index {self.low}" + ("" if only else f" to {(self.high or 0) - 1}")


class StoredRow(NamedTuple):
    """A row of the entries' table."""

    number: int
    """Its index."""
    topic: str
    source_offset: int
    request_id: UUID | None
    leaf: bytes
    entry: bytes


class StoredCheckpoint(NamedTuple):
    """A row of the checkpoints' table."""

    id: int
    size: int
    note: str


class StoredTree(NamedTuple):
    """A row of the trees' table."""

    size: int
    frontier: bytes
    published: int


class Copies:
    """One shard's entries and checkpoints as its topics hold them. A crash may repeat a copy, never change it."""

    def __init__(self, shard: int) -> None:
        self.shard = shard
        self.leaves = Slots(HASH_BYTES)
        self.notes: list[str] = []
        self.faults: list[Fault] = []

    def entry(self, content: bytes) -> None:
        """A record of the entries' topic."""
        try:
            index = decode(content).index
        except ValueError:
            self.faults.append(Fault(self.shard, "a record on the topic of entries is not an entry"))
            return
        leaf, before = leaf_hash(content), self.leaves.get(index)
        if before is not None and before != leaf:
            self.faults.append(Fault(self.shard, "the topic holds two different copies", index))
        else:
            self.leaves.put(index, leaf)

    def note(self, content: bytes) -> None:
        """A record of the checkpoints' topic."""
        self.notes.append(content.decode("utf-8", "replace"))


class Source:
    """How one topic should continue in one shard, and what its records were."""

    def __init__(self) -> None:
        self.next_offset = 0
        self.fingerprints = Slots(FINGERPRINT_BYTES)


class ShardCheck:
    """Walks one shard from its first entry to its last, and collects what is wrong with it."""

    def __init__(
        self,
        shard: int,
        *,
        tree: StoredTree | None,
        nodes: Mapping[Place, bytes],
        checkpoints: Sequence[StoredCheckpoint],
        copies: Copies,
        verifier: Verifier,
    ) -> None:
        self.shard = shard
        self.entries = 0
        self.gaps: list[int] = []
        self.faults: list[Fault] = [*copies.faults]
        self.sources: dict[str, Source] = {}
        self._tree, self._nodes, self._copies = tree, dict(nodes), copies
        self._frontier, self._pending, self._size = Frontier(), list[bytes](), 0
        self._proven, self._lost = 0, False
        signed = [*self._stored(verifier, checkpoints), *self._copied(verifier, checkpoints)]
        self.signatures = len(signed)
        heads = {(head.checkpoint.size, head.checkpoint.root) for head in signed if head.checkpoint.size}
        self._roots = sorted(heads, reverse=True)

    def row(self, row: StoredRow) -> None:
        """The next row, in the order of their indices."""
        if row.number > self._size:
            self._removed(row.number)
        self.entries += 1
        leaf, copy = leaf_hash(row.entry), self._copies.leaves.get(row.number)
        if leaf != row.leaf:
            self._fault("the entry does not have its leaf hash: one of them was changed", row.number)
        elif copy is not None and copy != leaf:
            self._fault("the entry differs from its copy on the topic", row.number)
        self._words(row)
        self._add(leaf if leaf == row.leaf or copy == leaf else copy or row.leaf)

    def finish(self, offsets: Mapping[str, int]) -> None:
        """The last row was given; `offsets` is where the table says that each topic goes on."""
        tree_size, copied = self._tree.size if self._tree else 0, self._copies.leaves.high
        if tree_size < self._size:
            self._fault("entries after the end of the tree", tree_size, self._size)
        promised = max([tree_size, copied, *(size for size, _ in self._roots)])
        if promised > self._size:
            self._removed(promised)
        self._grow()
        self._kept()
        self._positions(offsets)
        for index in self._copies.leaves.missing():
            self._fault("its copy is missing on the topic", index)
        if self._tree and 0 < copied < self._tree.published:
            self._fault("their copies are missing on the topic", copied, self._tree.published)

    def record(self, record: Record) -> bool:
        """Hold a record that its topic still has against its entry. Says whether it has one yet."""
        source = self.sources.get(record.topic)
        if source is None or record.offset >= source.next_offset:
            return False
        entered = source.fingerprints.get(record.offset)
        if entered is not None and entered != fingerprint_of(record):
            self._fault(f"{record.topic} at offset {record.offset} is not the record that was entered")
        return True

    def _stored(self, verifier: Verifier, checkpoints: Sequence[StoredCheckpoint]) -> Iterable[Signed]:
        """The valid ones of the stored checkpoints, which are in the order in which they were signed."""
        last: Signed | None = None
        for row in checkpoints:
            try:
                signed = verifier.open(self.shard, row.note)
            except InvalidCheckpoint as error:
                self._fault(f"checkpoint {row.id} was not signed by this log: {error}")
                continue
            if signed.checkpoint.size != row.size:
                self._fault(f"checkpoint {row.id} is stored under another size than it signs")
            if last and (signed.checkpoint.size, signed.signed_at_s) < (last.checkpoint.size, last.signed_at_s):
                self._fault(f"checkpoint {row.id} is older than the one before it: an old one was put there again")
            else:
                last = signed
            yield signed

    def _copied(self, verifier: Verifier, checkpoints: Sequence[StoredCheckpoint]) -> Iterable[Signed]:
        """The valid ones among the checkpoints on their topic; each of them must be stored as well."""
        stored = {row.note for row in checkpoints}
        for note in dict.fromkeys(self._copies.notes):
            if note in stored:
                continue
            try:
                signed = verifier.open(self.shard, note)
            except InvalidCheckpoint as error:
                self._fault(f"a checkpoint on the topic was not signed by this log: {error}")
            else:
                self._fault(f"the checkpoint over {signed.checkpoint.size} entries was removed from its table")
                yield signed

    def _removed(self, until: int) -> None:
        """Entries are missing up to `until`: their leaves are taken from the topic, where it holds them."""
        self._fault("removed", self._size, until)
        while self._size < until:
            leaf = self._copies.leaves.get(self._size)
            self._lost |= leaf is None
            self._add(leaf or _UNKNOWN)

    def _add(self, leaf: bytes) -> None:
        self._pending.append(leaf)
        self._size += 1
        while self._roots and self._roots[-1][0] == self._size:
            self._grow()
            self._root(self._roots.pop()[1])

    def _grow(self) -> None:
        self._frontier, completed = grow(self._frontier, self._pending)
        self._pending.clear()
        for place, node in completed:
            if self._nodes.pop(place, None) != node and not self._lost:
                width = 1 << place.level
                self._fault("the kept node over them was changed", place.number * width, (place.number + 1) * width)

    def _root(self, signed: bytes) -> None:
        """The tree has reached the size of a checkpoint. After one wrong root all later ones are wrong as well."""
        if self._lost:
            return
        if self._frontier.root == signed:
            self._proven = self._size
        else:
            self._fault("the entries do not hash to the signed root", self._proven, self._size)
            self._lost = True

    def _kept(self) -> None:
        """What is kept of the tree must be that of the entries."""
        if self._nodes and not self._lost:
            self._fault("nodes are kept that the tree does not have")
        tree = self._tree
        if tree and tree.size == self._size and tree.frontier != self._frontier.to_bytes() and not self._lost:
            self._fault("the tree's frontier is not that of its entries", self._proven, self._size)

    def _positions(self, offsets: Mapping[str, int]) -> None:
        reached = {topic: source.next_offset for topic, source in self.sources.items()}
        for topic in sorted(offsets.keys() | reached.keys()):
            if offsets.get(topic) != reached.get(topic):
                self._fault(f"{topic}: entries reach offset {reached.get(topic)}, the table says {offsets.get(topic)}")

    def _words(self, row: StoredRow) -> None:
        """Hold the entry's own words for its place against the place, and its offset against the one before."""
        try:
            entry = decode(row.entry)
        except ValueError:
            self._fault("not an entry", row.number)
            return
        if (entry.shard, entry.index) != (self.shard, row.number):
            self._fault(f"the entry of shard {entry.shard}, index {entry.index} stands here", row.number)
        if (entry.topic, entry.offset, entry.request_id) != (row.topic, row.source_offset, row.request_id):
            self._fault("topic, offset or request of its row are not those of the entry", row.number)
        self._order(entry, row.number)

    def _order(self, entry: Entry, index: int) -> None:
        source = self.sources.get(entry.topic)
        if source is None:
            source = self.sources[entry.topic] = Source()
        if entry.offset != source.next_offset or entry.partition != self.shard:
            self._fault(f"{entry.topic} goes on at {entry.offset} instead of {source.next_offset}", index)
        if entry.type == GAP and entry.until is not None:
            self.gaps.append(index)
            source.next_offset = entry.until
        else:
            source.fingerprints.put(entry.offset, entry.fingerprint())
            source.next_offset = entry.offset + 1

    def _fault(self, what: str, low: int | None = None, high: int | None = None) -> None:
        self.faults.append(Fault(self.shard, what, low, high))
