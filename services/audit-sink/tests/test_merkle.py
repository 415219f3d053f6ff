"""The tree, against the test vectors of RFC 6962's reference implementations and a naive one."""

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allweather.audit_sink.merkle import (
    EMPTY_ROOT,
    Frontier,
    InvalidProof,
    Leaves,
    Place,
    consistency_path,
    grow,
    inclusion_path,
    leaf_hash,
    node_hash,
    places,
    subtree_root,
    verify_consistency,
    verify_inclusion,
)

# Published vectors: certificate-transparency and transparency-dev/merkle use the same eight leaves.
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    bytes.fromhex(root)
    for root in (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    )
]
INCLUSION: list[tuple[int, int, list[str]]] = [  # (leaf from 1, size, proof)
    (1, 1, []),
    (
        1,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (3, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        2,
        5,
        [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]
CONSISTENCY: list[tuple[int, int, list[str]]] = [
    (1, 1, []),
    (
        1,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        5,
        [
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
    (
        6,
        7,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
]
GARBAGE = sha256(b"some hash").digest()

sizes = st.integers(min_value=1, max_value=700)


def naive_root(hashes: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962, word by word."""
    if not hashes:
        return EMPTY_ROOT
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return node_hash(naive_root(hashes[:k]), naive_root(hashes[k:]))


def leaves_of(size: int) -> list[bytes]:
    return [leaf_hash(str(n).encode()) for n in range(size)]


def corrupted(proof: list[bytes], root: bytes) -> Iterator[list[bytes]]:
    """Every corruption of a proof that the reference implementation's tests try."""
    yield from ([*proof, b""], [*proof, root], [b"", *proof], [root, *proof])
    for n, node in enumerate(proof):
        yield [*proof[:n], bytes([node[0] ^ 8]) + node[1:], *proof[n + 1 :]]
        yield [*proof[:n], *proof[n + 1 :]]
        yield [*proof[:n], GARBAGE, *proof[n:]]


def refused(verify: Callable[[], None]) -> bool:
    try:
        verify()
    except InvalidProof:
        return True
    return False


@pytest.mark.parametrize("size", range(1, 9))
def test_published_roots(size: int) -> None:
    assert grow(Frontier(), map(leaf_hash, LEAVES[:size])).frontier.root == ROOTS[size - 1]


def test_root_of_an_empty_tree_is_the_hash_of_nothing() -> None:
    assert Frontier().root.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(("leaf", "size", "hashes"), INCLUSION)
def test_published_inclusion_proofs(leaf: int, size: int, hashes: list[str]) -> None:
    """Our proof is the published one, it verifies, and no corruption of it does."""
    index, root, value = leaf - 1, ROOTS[size - 1], leaf_hash(LEAVES[leaf - 1])
    proof = [naive_root([leaf_hash(x) for x in LEAVES[low:high]]) for low, high in inclusion_path(index, size)]

    assert [node.hex() for node in proof] == hashes
    verify_inclusion(index=index, size=size, leaf=value, proof=proof, root=root)
    for wrong in corrupted(proof, root):
        assert refused(lambda wrong=wrong: verify_inclusion(index=index, size=size, leaf=value, proof=wrong, root=root))
    for at, of in ((index - 1, size), (index + 1, size), (index ^ 2, size), (index, size * 2), (index, size // 2)):
        assert refused(lambda at=at, of=of: verify_inclusion(index=at, size=of, leaf=value, proof=proof, root=root))
    for other in (b"", EMPTY_ROOT, GARBAGE):
        assert refused(
            lambda other=other: verify_inclusion(index=index, size=size, leaf=value, proof=proof, root=other)
        )
        assert refused(lambda other=other: verify_inclusion(index=index, size=size, leaf=other, proof=proof, root=root))


@pytest.mark.parametrize(("old", "new", "hashes"), CONSISTENCY)
def test_published_consistency_proofs(old: int, new: int, hashes: list[str]) -> None:
    """Our proof is the published one, it verifies, and no corruption of it does."""
    before, after = ROOTS[old - 1], ROOTS[new - 1]
    proof = [naive_root([leaf_hash(x) for x in LEAVES[low:high]]) for low, high in consistency_path(old, new)]

    assert [node.hex() for node in proof] == hashes
    verify_consistency(old=old, new=new, old_root=before, new_root=after, proof=proof)
    for wrong in corrupted(proof, before):
        assert refused(
            lambda wrong=wrong: verify_consistency(old=old, new=new, old_root=before, new_root=after, proof=wrong)
        )
    for left, right in ((GARBAGE, after), (before, GARBAGE), (b"", after)):
        assert refused(
            lambda left=left, right=right: verify_consistency(
                old=old, new=new, old_root=left, new_root=right, proof=proof
            )
        )


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 0), (1, 1), (2, 1), (-1, 3)])
def test_there_is_no_proof_for_a_leaf_outside_the_tree(index: int, size: int) -> None:
    with pytest.raises(InvalidProof):
        inclusion_path(index, size)


@pytest.mark.parametrize(("old", "new"), [(1, 0), (2, 1), (-1, 3)])
def test_a_tree_does_not_shrink(old: int, new: int) -> None:
    with pytest.raises(InvalidProof):
        consistency_path(old, new)


def test_every_tree_begins_with_the_empty_one() -> None:
    verify_consistency(old=0, new=8, old_root=EMPTY_ROOT, new_root=ROOTS[7], proof=[])

    assert refused(lambda: verify_consistency(old=0, new=8, old_root=GARBAGE, new_root=ROOTS[7], proof=[]))
    assert refused(lambda: verify_consistency(old=0, new=8, old_root=EMPTY_ROOT, new_root=ROOTS[7], proof=[GARBAGE]))


@given(st.lists(st.integers(min_value=0, max_value=300), max_size=6))
def test_growth_in_any_batches_gives_the_naive_root(batches: list[int]) -> None:
    leaves, frontier = leaves_of(sum(batches)), Frontier()

    for size in batches:
        frontier = grow(frontier, leaves[frontier.size : frontier.size + size]).frontier

    assert frontier.size == len(leaves)
    assert frontier.root == naive_root(leaves)
    assert Frontier.from_bytes(frontier.size, frontier.to_bytes()) == frontier


@given(sizes, st.data())
def test_kept_nodes_give_the_root_of_every_subtree_of_a_proof(size: int, data: st.DataObject) -> None:
    leaves = leaves_of(size)
    nodes = {Place(0, n): leaf for n, leaf in enumerate(leaves)} | dict(grow(Frontier(), leaves).completed)
    paths = inclusion_path(data.draw(st.integers(0, size - 1)), size)
    paths += consistency_path(data.draw(st.integers(1, size)), size)

    for subtree in paths:
        assert subtree_root(subtree, nodes) == naive_root(leaves[subtree.low : subtree.high])


def test_a_proof_reads_few_nodes_of_a_large_tree() -> None:
    needed = [place for subtree in inclusion_path(123_456_789, 1_000_000_007) for place in places(subtree)]

    assert len(needed) < 1_500


def test_a_completed_node_stands_where_its_leaves_are() -> None:
    completed = dict(grow(Frontier(), leaves_of(70_000)).completed)

    assert set(completed) == {Place(8, n) for n in range(70_000 // 256)} | {Place(16, 0)}
    assert completed[Place(8, 1)] == naive_root(leaves_of(512)[256:])


@given(sizes, st.data())
def test_inclusion_proofs_verify_for_their_leaf_only(size: int, data: st.DataObject) -> None:
    leaves, index = leaves_of(size), data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size - 1))
    proof, root = [naive_root(leaves[low:high]) for low, high in inclusion_path(index, size)], naive_root(leaves)

    verify_inclusion(index=index, size=size, leaf=leaves[index], proof=proof, root=root)

    if other != index:
        assert refused(lambda: verify_inclusion(index=other, size=size, leaf=leaves[index], proof=proof, root=root))
        assert refused(lambda: verify_inclusion(index=index, size=size, leaf=leaves[other], proof=proof, root=root))


@given(sizes, st.data())
def test_consistency_proofs_verify_for_their_trees_only(new: int, data: st.DataObject) -> None:
    leaves, old = leaves_of(new), data.draw(st.integers(1, new))
    changed = data.draw(st.integers(0, old - 1))
    proof = [naive_root(leaves[low:high]) for low, high in consistency_path(old, new)]
    before, after = naive_root(leaves[:old]), naive_root(leaves)
    forged = naive_root([*leaves[:changed], GARBAGE, *leaves[changed + 1 : old]])

    verify_consistency(old=old, new=new, old_root=before, new_root=after, proof=proof)

    assert refused(lambda: verify_consistency(old=old, new=new, old_root=forged, new_root=after, proof=proof))


def test_a_frontier_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="3 leaves"):
        Frontier.from_bytes(3, bytes(32))


def test_leaves_and_nodes_cannot_be_confused() -> None:
    """Second pre-image: the concatenation of two hashes as an entry is not their inner node."""
    assert leaf_hash(ROOTS[0] + ROOTS[1]) != node_hash(ROOTS[0], ROOTS[1])
    assert Leaves(0, 1) == (0, 1)
