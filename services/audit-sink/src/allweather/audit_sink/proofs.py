"""That an entry is in the log: a proof which anybody can check with the public key alone. Pure.

The text form is C2SP tlog-proof: the index, the hashes, and the signed checkpoint that they lead to.
"""

from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any, Final, Self

from allweather.audit_sink.checkpoints import InvalidCheckpoint, Signed, Verifier
from allweather.audit_sink.merkle import InvalidProof, leaf_hash, verify_inclusion

_HEADER: Final = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True, slots=True)
class Proof:
    """An entry, its place, and how its hash leads to a signed root."""

    shard: int
    index: int
    entry: bytes
    hashes: tuple[bytes, ...]
    checkpoint: str
    """The signed note."""

    def verify(self, verifier: Verifier) -> Signed:
        """The checkpoint that covers the entry. Raises `InvalidProof` unless every hash and signature is right."""
        try:
            signed = verifier.open(self.shard, self.checkpoint)
        except InvalidCheckpoint as error:
            raise InvalidProof(str(error)) from error
        verify_inclusion(
            index=self.index,
            size=signed.checkpoint.size,
            leaf=leaf_hash(self.entry),
            proof=self.hashes,
            root=signed.checkpoint.root,
        )
        return signed

    def to_text(self) -> str:
        """As tlog-proof; the entry itself is not part of it."""
        hashes = "".join(f"{b64encode(node).decode()}\n" for node in self.hashes)
        return f"{_HEADER}\nindex {self.index}\n{hashes}\n{self.checkpoint}"

    def to_plain(self) -> dict[str, Any]:
        """As plain JSON types, entry included."""
        return {"shard": self.shard, "index": self.index, "entry": self.entry.decode(), "proof": self.to_text()}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        """What `to_plain` gave. Raises `InvalidProof`."""
        try:
            head, _, checkpoint = plain["proof"].partition("\n\n")
            header, index, *hashes = head.split("\n")
            if header != _HEADER or index != f"index {plain['index']}":
                raise InvalidProof("not a proof of this entry")
            nodes = tuple(b64decode(node, validate=True) for node in hashes)
            return cls(plain["shard"], plain["index"], plain["entry"].encode(), nodes, checkpoint)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise InvalidProof(f"not a proof: {error}") from error
