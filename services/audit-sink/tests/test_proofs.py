"""A proof stands by itself: with the public key alone it verifies, and no part of it can be changed."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from allweather.audit_sink.checkpoints import Signer
from allweather.audit_sink.merkle import Frontier, InvalidProof, Place, grow, inclusion_path, leaf_hash, subtree_root
from allweather.audit_sink.proofs import Proof

SIGNER = Signer("allweather.local/test", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
ENTRIES = [f'{{"index":{n}}}'.encode() for n in range(7)]
LEAVES = {Place(0, n): leaf_hash(entry) for n, entry in enumerate(ENTRIES)}
NOTE = SIGNER.sign(1, 7, grow(Frontier(), LEAVES.values()).frontier.root, 1_767_225_600)


def proof_of(index: int) -> Proof:
    hashes = tuple(subtree_root(leaves, LEAVES) for leaves in inclusion_path(index, 7))
    return Proof(1, index, ENTRIES[index], hashes, NOTE)


@pytest.mark.parametrize("index", range(7))
def test_a_proof_survives_its_text_form_and_verifies(index: int) -> None:
    read = Proof.from_plain(proof_of(index).to_plain())

    assert read == proof_of(index)
    assert read.verify(SIGNER.verifier).checkpoint.size == 7


def test_the_text_form_is_that_of_the_specification() -> None:
    lines = proof_of(5).to_text().split("\n")

    assert lines[:2] == ["c2sp.org/tlog-proof@v1", "index 5"]
    assert [len(line) for line in lines[2:5]] == [44, 44, 44]
    assert lines[5:8] == ["", "allweather.local/test/1", "7"]


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("index", 4),
        ("index", 7),
        ("shard", 0),
        ("entry", '{"index":4}'),
        ("proof", "nothing"),
        ("proof", proof_of(4).to_text()),
        ("proof", proof_of(5).to_text().replace("\n7\n", "\n8\n")),
        ("proof", proof_of(5).to_text().replace("=\n", "=\n=\n", 1)),
        ("proof", None),
    ],
)
def test_a_changed_proof_is_refused(part: str, value: Any) -> None:
    plain = proof_of(5).to_plain() | {part: value}

    with pytest.raises(InvalidProof):
        Proof.from_plain(plain).verify(SIGNER.verifier)


def test_a_proof_without_a_part_is_refused() -> None:
    for part in proof_of(5).to_plain():
        plain = proof_of(5).to_plain()
        del plain[part]
        with pytest.raises(InvalidProof):
            Proof.from_plain(plain)
