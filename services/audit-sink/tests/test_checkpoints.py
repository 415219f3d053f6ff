"""Signed notes, against the examples that the C2SP specifications and Go's note package publish."""

from base64 import b64decode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from allweather.audit_sink.checkpoints import Checkpoint, InvalidCheckpoint, Signer, Verifier

LOG = "allweather.local/audit"
ROOT = bytes(range(32))
NOW_S = 1_767_225_600

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SIGNER = Signer(LOG, KEY)
NOTE = SIGNER.sign(2, 1000, ROOT, NOW_S)

# Bytes that golang.org/x/mod/sumdb/note and transparency-dev/formats (checkpoint, cosignature/v1) have verified.
OTHERS_KEY = "allweather.local/audit/2+81e99021+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
OTHERS_NOTE = (
    "allweather.local/audit/2\n1000\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n"
    "\u2014 allweather.local/audit/2 gemQIUZaFzG76wbD1ESNutW93vfY6T7kLWJFi9n6bWO8"
    "syhPx3QBWlZ+A1ivQ1YRtXRerl7viXVxNfnAbPLxpyhwvgE=\n"
    "\u2014 allweather.local/audit f/jnswAAAABpVbkAG115W9lns4xNsV7Y2e+wZC8+rG4YlMgS7/UU"
    "HEVpGorECrSIbwZmiCDjQSoxvb+NtJXonlMPZTNzZbsXKVvmBw==\n"
)

# golang.org/x/mod/sumdb/note, package example: a verifier key and a note that it verifies.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_SAYS = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n",
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=",
)


def test_a_checkpoint_says_origin_size_and_root() -> None:
    signed = SIGNER.verifier.open(2, NOTE)

    assert signed.checkpoint == Checkpoint("allweather.local/audit/2", 1000, ROOT)
    assert signed.signed_at_s == NOW_S
    assert NOTE.startswith("allweather.local/audit/2\n1000\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n\u2014 ")


def test_a_checkpoint_is_byte_for_byte_what_other_implementations_verify() -> None:
    assert SIGNER.verifier.verifier_key(2) == OTHERS_KEY
    assert NOTE == OTHERS_NOTE


def test_the_public_key_alone_verifies() -> None:
    line = SIGNER.verifier.verifier_key(0)

    assert line.startswith("allweather.local/audit/0+")
    assert Verifier.from_verifier_key(LOG, line + "\n").open(2, NOTE).checkpoint.size == 1000


def test_key_ids_and_signatures_are_those_of_the_note_specification() -> None:
    """The published key's id is ours for it, and the published signature is one over the text with that id."""
    name, key_id, encoded = PETER.split("+", 2)
    key = Ed25519PublicKey.from_public_bytes(b64decode(encoded)[1:])
    text, signature = PETER_SAYS[0], b64decode(PETER_SAYS[1])

    assert Verifier("PeterNeumann", key).key_id(name, b"\x01").hex() == key_id == signature[:4].hex()
    key.verify(signature[4:], text.encode())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n1000\n", "\n1001\n"),
        ("AAECAwQ", "AAECAwR"),
        ("audit/2\n1000", "audit/3\n1000"),
        ("\n1000\n", "\n01000\n"),
        ("\n1000\n", "\n1000 \n"),
        ("=\n\n", "=\nextension\n\n"),
        ("\n\n", "\n"),
        ("\u2014", "-"),
    ],
)
def test_no_part_of_a_checkpoint_can_be_changed(old: str, new: str) -> None:
    assert old in NOTE
    with pytest.raises(InvalidCheckpoint):
        SIGNER.verifier.open(2, NOTE.replace(old, new, 1))


@pytest.mark.parametrize("line", [0, 1])
def test_each_signature_is_required_and_checked(line: int) -> None:
    text, _, signatures = NOTE.partition("\n\n")
    lines = signatures.splitlines(keepends=True)
    other = Signer(LOG, KEY).sign(2, 1001, ROOT, NOW_S + 1).partition("\n\n")[2].splitlines(keepends=True)

    for changed in ([*lines[:line], *lines[line + 1 :]], [*lines[:line], other[line], *lines[line + 1 :]]):
        with pytest.raises(InvalidCheckpoint):
            SIGNER.verifier.open(2, f"{text}\n\n{''.join(changed)}")


def test_a_checkpoint_of_another_key_or_shard_is_refused() -> None:
    stranger = Signer(LOG, Ed25519PrivateKey.from_private_bytes(bytes(32)))

    with pytest.raises(InvalidCheckpoint):
        SIGNER.verifier.open(2, stranger.sign(2, 1000, ROOT, NOW_S))
    with pytest.raises(InvalidCheckpoint):
        SIGNER.verifier.open(1, NOTE)


def test_lines_of_witnesses_are_left_alone() -> None:
    witnessed = NOTE + "\u2014 witness.example/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZC\n"

    assert SIGNER.verifier.open(2, witnessed).checkpoint.size == 1000


def test_a_verifier_key_whose_id_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="key id"):
        Verifier.from_verifier_key(LOG, PETER.replace("c74f20a3", "c74f20a4"))
