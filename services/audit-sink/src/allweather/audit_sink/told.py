"""What an entry says, as far as a verifier needs it. Pure."""

from uuid import UUID

import msgspec

from allweather.audit_sink.entries import fingerprint_of


class Digests(msgspec.Struct):
    headers: str | None = None
    value: str | None = None


class Told(msgspec.Struct):
    """The part of an entry by which it is held against its place, its neighbours and its record."""

    shard: int
    index: int
    type: str | None = None
    topic: str = ""
    partition: int = 0
    offset: int = 0
    until: int | None = None
    request_id: UUID | None = None
    timestamp: int = 0
    key: str | None = None
    digests: Digests = msgspec.field(default_factory=Digests)

    def fingerprint(self) -> bytes:
        """As `entries.fingerprint` of the record."""
        return fingerprint_of(self.digests.headers, self.digests.value, self.key, self.timestamp)


_decoder = msgspec.json.Decoder(Told)


def read_told(content: bytes) -> Told:
    """What an entry says. Raises ValueError when it is not an entry."""
    return _decoder.decode(content)
