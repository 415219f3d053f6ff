"""Pieces of a streamed answer as the worker published them."""

import msgspec

from allweather.ingest import replies
from allweather.messaging import Record


class Delta(msgspec.Struct, frozen=True):
    """`contracts.records.Delta`, decoded the quick way: a stream has many."""

    call_id: str
    sequence: int
    events: tuple[str, ...]
    has_content: bool = False
    told: tuple[tuple[str, str], ...] = ()
    """HTTP headers that say who answers, with the first delta of a call."""


_decoder = msgspec.json.Decoder(Delta)


def read(record: Record) -> Delta | None:
    """The delta in a record, None when it is unreadable: its stream then has a gap, which is dealt with as such."""
    try:
        delta = _decoder.decode(record.value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if delta.sequence > 0:
        return delta
    return msgspec.structs.replace(delta, told=tuple(replies.shown(replies.said_in(record))))
