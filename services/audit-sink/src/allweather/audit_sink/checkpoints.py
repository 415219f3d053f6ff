"""Signed tree heads in C2SP form: tlog-checkpoint on signed-note, and tlog-cosignature for the time. Pure.

A checkpoint carries two signature lines of the log's one Ed25519 key. The first, under the checkpoint's origin, is what
every implementation of signed notes verifies. The second, under the log's name, is a timestamped cosignature: it says
when the log had this size and no other, so that silence is signed as well.
"""

from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from allweather.audit_sink.merkle import HASH_BYTES

NOTE: Final = b"\x01"
"""Signature type of signed-note: Ed25519 over the text."""
COSIGNATURE: Final = b"\x04"
"""Signature type of tlog-cosignature: Ed25519 over the time and the text."""
_DASH: Final = "\N{EM DASH} "
_TIME_BYTES: Final = 8
_KEY_ID_BYTES: Final = 4


class InvalidCheckpoint(Exception):
    """The note is not a checkpoint that this log has signed; the message says why."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log commits to: at `size` entries its tree has `root`."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The signed text."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The checkpoint in a note's text. Raises `InvalidCheckpoint`."""
        lines = text.split("\n")
        if len(lines) != 4 or lines[3]:
            raise InvalidCheckpoint("a checkpoint has three lines: origin, size, root")
        origin, size, root = lines[:3]
        if not size.isascii() or not size.isdigit() or str(int(size)) != size:
            raise InvalidCheckpoint(f"{size!r} is not a tree size")
        return cls(origin, int(size), _decoded(root, HASH_BYTES))


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint whose signatures were verified, and the time that the log put to it."""

    checkpoint: Checkpoint
    signed_at_s: int


def origin(log: str, shard: int) -> str:
    """The origin, and key name, of one shard of `log`."""
    return f"{log}/{shard}"


class Signer:
    """The log's private key. Its public half is all that an auditor needs."""

    def __init__(self, log: str, key: Ed25519PrivateKey) -> None:
        self.verifier = Verifier(log, key.public_key())
        self._key = key

    def sign(self, shard: int, size: int, root: bytes, now_s: int) -> str:
        """The signed note for one shard."""
        checkpoint = Checkpoint(origin(self.verifier.log, shard), size, root)
        text = checkpoint.text()
        signature = self._key.sign(text.encode())
        timed = now_s.to_bytes(_TIME_BYTES, "big") + self._key.sign(_timed(text, now_s))
        return (
            f"{text}\n"
            f"{self._line(checkpoint.origin, NOTE, signature)}"
            f"{self._line(self.verifier.log, COSIGNATURE, timed)}"
        )

    def _line(self, name: str, kind: bytes, signature: bytes) -> str:
        return f"{_DASH}{name} {b64encode(self.verifier.key_id(name, kind) + signature).decode()}\n"


class Verifier:
    """The log's public key: checks notes, whoever hands them over."""

    def __init__(self, log: str, key: Ed25519PublicKey) -> None:
        self.log = log
        self._key = key
        self._encoded = key.public_bytes_raw()

    @classmethod
    def from_verifier_key(cls, log: str, line: str) -> Self:
        """The verifier of `log` from any of its verifier keys, `<name>+<key id>+<base64>`. Raises ValueError."""
        name, key_id, encoded = line.strip().split("+", 2)
        kind, key = (raw := b64decode(encoded, validate=True))[:1], raw[1:]
        verifier = cls(log, Ed25519PublicKey.from_public_bytes(key))
        if verifier.key_id(name, kind).hex() != key_id:
            raise ValueError(f"the key id of {name} does not belong to its key")
        return verifier

    def verifier_key(self, shard: int) -> str:
        """The key of one shard in the form in which note tools take it: `<name>+<key id>+<base64>`."""
        name = origin(self.log, shard)
        return f"{name}+{self.key_id(name, NOTE).hex()}+{b64encode(NOTE + self._encoded).decode()}"

    def key_id(self, name: str, kind: bytes) -> bytes:
        """The four bytes that, with `name`, tell the key and the kind of a signature line."""
        return sha256(name.encode() + b"\n" + kind + self._encoded).digest()[:_KEY_ID_BYTES]

    def open(self, shard: int, note: str) -> Signed:
        """The checkpoint of `shard` in a note. Raises `InvalidCheckpoint` unless both signatures verify."""
        text, separator, lines = note.rpartition("\n\n")
        if not separator:
            raise InvalidCheckpoint("a note has its signatures after an empty line")
        text += "\n"
        checkpoint = Checkpoint.parse(text)
        expected = origin(self.log, shard)
        if checkpoint.origin != expected:
            raise InvalidCheckpoint(f"the origin is {checkpoint.origin!r}, not {expected!r}")
        self._verify(self._signature(lines, expected, NOTE), text.encode())
        timed = self._signature(lines, self.log, COSIGNATURE)
        now_s = int.from_bytes(timed[:_TIME_BYTES], "big")
        self._verify(timed[_TIME_BYTES:], _timed(text, now_s))
        return Signed(checkpoint, now_s)

    def _signature(self, lines: str, name: str, kind: bytes) -> bytes:
        """The signature of our key among lines that may be others' (a witness's, an older key's)."""
        key_id = self.key_id(name, kind)
        for line in lines.splitlines():
            head, _, encoded = line.rpartition(" ")
            if head == _DASH + name and (content := _decoded(encoded))[:_KEY_ID_BYTES] == key_id:
                return content[_KEY_ID_BYTES:]
        raise InvalidCheckpoint(f"no signature of {name} with key {key_id.hex()}")

    def _verify(self, signature: bytes, message: bytes) -> None:
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            raise InvalidCheckpoint("a signature does not belong to the text") from None


def _timed(text: str, now_s: int) -> bytes:
    return f"cosignature/v1\ntime {now_s}\n{text}".encode()


def _decoded(text: str, size: int | None = None) -> bytes:
    try:
        content = b64decode(text, validate=True)
    except ValueError:
        raise InvalidCheckpoint(f"{text!r} is not base64") from None
    if size is not None and len(content) != size:
        raise InvalidCheckpoint(f"{text!r} has {len(content)} bytes, not {size}")
    return content
