"""RFC 6962 (and RFC 9162) Merkle trees: growth, roots, proofs and their verification. Pure.

A tree over n leaves is never held. What is kept of it: the `Frontier`, from which it grows and which gives its root,
and one inner node for every 256 leaves (and every 65,536, ...), so that a proof reads a few hundred hashes at most.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from typing import Final, NamedTuple

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = sha256().digest()
KEPT_EVERY: Final = 8
"""Every eighth level of inner nodes is kept: the roots of 256, 65,536, ... leaves."""


class InvalidProof(Exception):
    """The proof does not show what it should; the message says why."""


def leaf_hash(entry: bytes) -> bytes:
    """The hash under which the tree holds `entry`."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


class Place(NamedTuple):
    """Where a node stands: `number` counts from the left within its level; leaves are level 0."""

    level: int
    number: int


class Leaves(NamedTuple):
    """The half-open range of leaves [low, high), and by it the subtree over them."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Frontier:
    """The roots of the perfect subtrees that make up a tree, largest first: all that growing needs."""

    size: int = 0
    roots: tuple[bytes, ...] = ()

    @property
    def root(self) -> bytes:
        """The root hash of the whole tree."""
        if not self.roots:
            return EMPTY_ROOT
        root = self.roots[-1]
        for left in reversed(self.roots[:-1]):
            root = node_hash(left, root)
        return root

    def to_bytes(self) -> bytes:
        """The roots, one after another."""
        return b"".join(self.roots)

    @classmethod
    def from_bytes(cls, size: int, content: bytes) -> "Frontier":
        """The frontier that `to_bytes` wrote for a tree of `size`. Raises ValueError when they do not fit."""
        if len(content) != size.bit_count() * HASH_BYTES:
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} subtrees, not {len(content)} bytes")
        return cls(size, tuple(content[at : at + HASH_BYTES] for at in range(0, len(content), HASH_BYTES)))


class Growth(NamedTuple):
    """A larger tree, and the inner nodes to keep that became complete on the way."""

    frontier: Frontier
    completed: list[tuple[Place, bytes]]


def grow(frontier: Frontier, hashes: Iterable[bytes], level: int = 0) -> Growth:
    """The tree with further leaves (or further perfect subtrees of 2^`level` leaves) at its right."""
    size, roots, completed = frontier.size, list(frontier.roots), list[tuple[Place, bytes]]()
    for node in hashes:
        at = level
        while size >> at & 1:
            node = node_hash(roots.pop(), node)
            at += 1
            if not at % KEPT_EVERY:
                completed.append((Place(at, size >> at), node))
        roots.append(node)
        size += 1 << level
    return Growth(Frontier(size, tuple(roots)), completed)


def places(leaves: Leaves) -> Iterator[Place]:
    """The leaves and kept nodes, from the left, of which the subtree over `leaves` is made."""
    low, high = leaves
    while low < high:
        level = 0
        while not low % (1 << level + KEPT_EVERY) and low + (1 << level + KEPT_EVERY) <= high:
            level += KEPT_EVERY
        yield Place(level, low >> level)
        low += 1 << level


def subtree_root(leaves: Leaves, nodes: Mapping[Place, bytes]) -> bytes:
    """The root over `leaves`, from the nodes at `places(leaves)`."""
    frontier = Frontier()
    for level, group in groupby(places(leaves), key=lambda place: place.level):
        frontier = grow(frontier, (nodes[place] for place in group), level).frontier
    return frontier.root


def inclusion_path(index: int, size: int) -> list[Leaves]:
    """The subtrees whose roots, in this order, prove that leaf `index` is in the tree of `size` leaves."""
    if not 0 <= index < size:
        raise InvalidProof(f"a tree of {size} leaves has no leaf {index}")
    low, high, path = 0, size, list[Leaves]()
    while high - low > 1:
        middle = low + _left_part(high - low)
        if index < middle:
            path.append(Leaves(middle, high))
            high = middle
        else:
            path.append(Leaves(low, middle))
            low = middle
    return path[::-1]


def consistency_path(old: int, new: int) -> list[Leaves]:
    """The subtrees whose roots, in this order, prove that the tree of `new` leaves begins with that of `old`."""
    if not 0 <= old <= new:
        raise InvalidProof(f"a tree of {new} leaves has never had {old}")
    if old == 0:
        return []
    low, high, path = 0, new, list[Leaves]()
    while old < high:
        middle = low + _left_part(high - low)
        if old <= middle:
            path.append(Leaves(middle, high))
            high = middle
        else:
            path.append(Leaves(low, middle))
            low = middle
    if low:
        path.append(Leaves(low, high))
    return path[::-1]


def verify_inclusion(*, index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Return if `proof` shows that `leaf` is leaf `index` of the tree with `root`. Raises `InvalidProof`."""
    node = leaf
    for leaves, sibling in _paired(inclusion_path(index, size), proof):
        node = node_hash(node, sibling) if index < leaves.low else node_hash(sibling, node)
    _require(node == root, f"leaf {index} leads to another root than that of the tree of {size} leaves")


def verify_consistency(*, old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Return if `proof` shows that the tree with `new_root` begins with that of `old_root`. Raises `InvalidProof`."""
    steps = _paired(consistency_path(old, new), proof)
    if old == 0:
        _require(old_root == EMPTY_ROOT, "an empty tree has another root")
        return
    starts_inside = old != new and old & (old - 1) != 0  # else the old tree is itself a subtree of the new one
    before = after = steps.pop(0)[1] if starts_inside else old_root
    for leaves, sibling in steps:
        if leaves.low >= old:
            after = node_hash(after, sibling)
        else:
            before, after = node_hash(sibling, before), node_hash(sibling, after)
    _require(before == old_root, f"the proof leads to another root for {old} leaves")
    _require(after == new_root, f"the proof leads to another root for {new} leaves")


def _left_part(size: int) -> int:
    """The largest power of two below `size`: how many leaves are on the left of the split."""
    return 1 << (size - 1).bit_length() - 1


def _paired(path: list[Leaves], proof: Sequence[bytes]) -> list[tuple[Leaves, bytes]]:
    _require(len(path) == len(proof), f"{len(path)} hashes make this proof, not {len(proof)}")
    _require(all(len(node) == HASH_BYTES for node in proof), f"a hash has {HASH_BYTES} bytes")
    return list(zip(path, proof, strict=True))


def _require(fact: bool, otherwise: str) -> None:
    if not fact:
        raise InvalidProof(otherwise)
