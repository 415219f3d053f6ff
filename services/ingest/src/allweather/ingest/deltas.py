"""Pieces of a streamed answer as the worker published them."""

import msgspec


class Delta(msgspec.Struct, frozen=True):
    """`contracts.records.Delta`, decoded the quick way: a stream has many."""

    call_id: str
    sequence: int
    events: tuple[str, ...]
    has_content: bool = False


_decoder = msgspec.json.Decoder(Delta)


def read(value: bytes | None) -> Delta | None:
    """The delta in a record, None when it is unreadable: its stream then has a gap, which is dealt with as such."""
    try:
        return _decoder.decode(value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
